package main

import (
	"fmt"
	"os"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	securefs "github.com/fluxcd/pkg/kustomize/filesys"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// build is one request on its way to an answer.
type build struct {
	request *request
	limits  limits

	kustomization unstructured.Unstructured
	root          string // resolved
	directory     string // resolved, in or below root
	files         *recorder
	remote        *elsewhere
	generated     bool
	unsealing     *unsealing
	answer        response
}

func (b *build) run() response {
	var err error
	b.remote, err = serve(b.request.Remote)
	defer b.remote.done()
	if err != nil {
		return failure("internal", "input", err.Error())
	}
	if p := b.prepare(); p != nil {
		b.answer.Errors = append(b.answer.Errors, *p)
	} else if resources := b.build(); resources != nil {
		b.render(resources)
	}
	b.answer.Used = b.remote.used
	if b.files != nil {
		b.answer.Closure = b.files.closure()
		if b.remote.err == nil && b.files.refused == nil {
			b.answer.Wanted = b.remote.wanted
		}
	}
	return b.answer
}

// prepare finds the root and the directory; a path that climbs out of the root ends at the root.
func (b *build) prepare() *problem {
	var err error
	if b.kustomization, err = b.request.kustomization(); err != nil {
		return &problem{Code: "internal", Stage: "input", Message: err.Error()}
	}
	b.unsealing = newUnsealing(b.request, b.kustomization)
	if b.root, err = filepath.EvalSymlinks(b.request.Root); err != nil {
		return &problem{Code: "missing_path", Stage: "input", Message: "the root does not exist"}
	}
	if b.files, err = b.fileSystem(); err != nil {
		return &problem{Code: "internal", Stage: "input", Message: relativeText(err.Error(), b.root)}
	}
	// The overlay knows files by their resolved paths, so links are resolved first.
	if b.directory, err = securejoin.SecureJoin(b.root, b.request.Path); err != nil {
		return &problem{Code: "outside_root", Stage: "input", Message: relativeText(err.Error(), b.root)}
	}
	b.files.scanLinks(filepath.Join(b.root, filepath.Join("/", b.request.Path)))
	if !b.files.IsDir(b.directory) {
		return b.missingPath()
	}
	patches, _, _ := unstructured.NestedSlice(b.kustomization.Object, "spec", "patches")
	return guardPatches(patches)
}

func (b *build) missingPath() *problem {
	_, err := os.Stat(b.directory)
	if err == nil {
		err = fmt.Errorf("%s is not a directory", b.directory)
	}
	message := relativeText(err.Error(), b.root)
	return &problem{Code: "missing_path", Stage: "input", Message: "kustomization path not found: " + message}
}

func guardPatches(patches []any) *problem {
	for i, entry := range patches {
		patch, _ := entry.(map[string]any)
		text, _ := patch["patch"].(string)
		if err := guardYAML([]byte(text)); err != nil {
			path := fmt.Sprintf("$.spec.patches[%d].patch", i)
			return &problem{Code: "yaml", Stage: "input", Message: err.Error(), JSONPath: path}
		}
	}
	return nil
}

func (b *build) fileSystem() (*recorder, error) {
	secure := securefs.MakeFsOnDiskSecure
	if b.request.Remote != nil {
		secure = securefs.MakeFsOnDiskSecureBuild
	}
	inner, err := secure(b.root)
	if err != nil {
		return nil, err
	}
	return newRecorder(inner, b.root, b.limits.fileBytes), nil
}

// build runs kustomize; nil means that it failed and the answer says why.
func (b *build) build() resmap.ResMap {
	data, path, err := b.generate()
	if err != nil {
		b.answer.Errors = append(b.answer.Errors, b.problem("generate", err))
		return nil
	}
	relative, _ := relativeTo(b.root, path)
	b.answer.Kfile = &kfile{Path: relative, Generated: b.generated}
	overlay := securefs.MakeFsInMemory(b.files)
	if err := overlay.WriteFile(path, data); err != nil {
		b.answer.Errors = append(b.answer.Errors, b.problem("generate", err))
		return nil
	}
	if b.unsealing != nil {
		if err := b.unsealSources(overlay); err != nil {
			b.answer.Errors = append(b.answer.Errors, b.problem("decrypt", err))
			return nil
		}
		if len(b.unsealing.needed) > 0 {
			b.answer.Sealed = b.unsealing.needed
			return nil
		}
	}
	kustomize := kustomizeOnce
	if b.request.Oracle {
		kustomize, pristine = fluxkustomize.Build, ""
	}
	resources, err := kustomize(overlay, b.directory)
	b.remote.collect()
	if err != nil {
		b.answer.Errors = append(b.answer.Errors, b.problem("build", err))
		return nil
	}
	return resources
}

// pristine is the schema version that stands for "no build has touched the global schema".
var pristine string

func resetSchema() {
	openapi.ResetOpenAPI()
	_ = openapi.Schema()
	pristine = openapi.GetSchemaVersion()
}

// kustomizeOnce is the library's Build with one difference: that one parses the whole OpenAPI schema
// again for every build; this one does so only when the last build failed or brought its own schema.
func kustomizeOnce(fs filesys.FileSystem, directory string) (resources resmap.ResMap, err error) {
	if pristine == "" {
		resetSchema()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("recovered from kustomize build panic: %v", p)
		}
		if err != nil || openapi.GetSchemaVersion() != pristine {
			resetSchema()
		}
	}()
	options := &krusty.Options{
		LoadRestrictions: kustypes.LoadRestrictionsNone,
		PluginConfig:     kustypes.DisabledPluginConfig(),
	}
	return krusty.MakeKustomizer(options).Run(fs, directory)
}
