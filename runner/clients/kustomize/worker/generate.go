package main

import (
	"fmt"
	"os"
	"path/filepath"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/konfig"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// generate makes the kustomization file that the build starts from, in memory. Flux's generator
// brings its own file system, so what it is going to read is read through the recorder first: that
// fills the closure, and refuses what must not be opened.
func (b *build) generate() (data []byte, path string, err error) {
	original, err := b.foresee()
	if err != nil {
		return nil, "", err
	}
	generator := fluxkustomize.NewGenerator(b.root, b.kustomization)
	data, path, action, err := generator.GenerateManifest(b.directory)
	if err != nil {
		return nil, "", err
	}
	b.generated = action == fluxkustomize.CreatedAction
	b.warnUnknown(original, path)
	data, err = b.addGenerators(data)
	return data, path, err
}

// foresee looks at everything that the generator looks at, and returns an existing kustomization file.
func (b *build) foresee() ([]byte, error) {
	components, _, _ := unstructured.NestedStringSlice(b.kustomization.Object, "spec", "components")
	for _, component := range components {
		if fluxkustomize.IsLocalRelativePath(component) {
			b.files.Exists(filepath.Join(b.directory, component))
		}
	}
	if path := b.kfileIn(b.directory); path != "" {
		return b.files.ReadFile(path)
	}
	return nil, b.files.Walk(b.directory, b.foreseeFile)
}

func (b *build) foreseeFile(path string, info os.FileInfo, err error) error {
	if err != nil || path == b.directory {
		return err
	}
	if info.IsDir() {
		if b.kfileIn(path) != "" {
			return filepath.SkipDir
		}
		return nil
	}
	if extension := filepath.Ext(path); extension != ".yaml" && extension != ".yml" {
		return nil
	}
	_, err = b.files.ReadFile(path)
	return err
}

func (b *build) kfileIn(directory string) string {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		path := filepath.Join(directory, name)
		if b.files.Exists(path) && !b.files.IsDir(path) {
			return path
		}
	}
	return ""
}

// warnUnknown reports what Flux's lenient decoding is about to drop from an existing file.
func (b *build) warnUnknown(original []byte, path string) {
	var kustomization kustypes.Kustomization
	if err := yaml.UnmarshalStrict(original, &kustomization); original != nil && err != nil {
		file, _ := relativeTo(b.root, path)
		b.answer.Warnings = append(b.answer.Warnings, problem{
			Code: "unknown_field", Stage: "generate", File: file,
			Message: fmt.Sprintf("%s: Flux ignores what it does not know here: %v", file, err),
		})
	}
}

// addGenerators merges spec.configMapGenerator and spec.secretGenerator, which Flux's API doesn't have
// but people write.
func (b *build) addGenerators(data []byte) ([]byte, error) {
	spec, _, _ := unstructured.NestedMap(b.kustomization.Object, "spec")
	var extra struct {
		ConfigMaps []kustypes.ConfigMapArgs `json:"configMapGenerator"`
		Secrets    []kustypes.SecretArgs    `json:"secretGenerator"`
	}
	if spec["configMapGenerator"] == nil && spec["secretGenerator"] == nil {
		return data, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &extra); err != nil {
		return nil, fmt.Errorf("unable to get generators: %w", err)
	}
	var kustomization kustypes.Kustomization
	if err := yaml.Unmarshal(data, &kustomization); err != nil {
		return nil, err
	}
	if b.generated && kustomization.Namespace == "_placeholder" {
		kustomization.Namespace = "" // stood in for resources; now there are some
	}
	kustomization.ConfigMapGenerator = append(kustomization.ConfigMapGenerator, extra.ConfigMaps...)
	kustomization.SecretGenerator = append(kustomization.SecretGenerator, extra.Secrets...)
	b.answer.Warnings = append(b.answer.Warnings, problem{
		Code: "spec_generator", Stage: "generate",
		Message: "spec.configMapGenerator and spec.secretGenerator are not in Flux's API; they were added",
	})
	return yaml.Marshal(kustomization)
}
