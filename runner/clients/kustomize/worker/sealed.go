package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// What SOPS has sealed is found here, as kustomize-controller finds it, and opened elsewhere: this process
// never has a key. A build that may open things answers with what it needs, and is asked again with that.
// Every other build puts placeholders in their place.

const (
	maxSealedFile = 5 << 20
	dockerConfig  = ".dockerconfigjson"
	decryptKey    = "kustomize.toolkit.fluxcd.io/decrypt"
)

// markers tell by a few bytes whether a text of a format is sealed.
var markers = map[string]string{
	"binary": `"mac": "ENC[`,
	"dotenv": "sops_mac=ENC[",
	"ini":    "[sops]",
	"json":   `"mac": "ENC[`,
	"yaml":   "mac: ENC[",
}

// sealedText is something to be opened. What goes wrong with it is told after Prefix.
type sealedText struct {
	ID      string   `json:"id"`
	Data    []byte   `json:"data"`
	Input   string   `json:"input"`
	Output  string   `json:"output"`
	Prefix  string   `json:"prefix"`
	File    string   `json:"file,omitempty"`
	Subject *subject `json:"subject,omitempty"`
}

// unsealing is what spec.decryption asks for.
type unsealing struct {
	open   bool              // else there are placeholders
	opened map[string][]byte // by the id of what was sealed
	needed []sealedText
	named  bool // whether the names of all resources are what they will be
}

// newUnsealing returns nil when nothing is to be decrypted.
func newUnsealing(q *request, kustomization unstructured.Unstructured) *unsealing {
	provider, _, _ := unstructured.NestedString(kustomization.Object, "spec", "decryption", "provider")
	if provider != "sops" {
		return nil
	}
	return &unsealing{open: q.Open, opened: q.Opened, named: true}
}

// take gives what a sealed text holds: its plain text, or what stands for it; nil when it has to be opened.
func (u *unsealing) take(s sealedText, label string) []byte {
	if !u.open {
		return stand(s.Data, s.Output, label)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s ", s.Input, s.Output)
	hash.Write(s.Data)
	s.ID = hex.EncodeToString(hash.Sum(nil))
	if plain, known := u.opened[s.ID]; known {
		return plain
	}
	u.needed = append(u.needed, s)
	return nil
}

func formatOf(path string) string {
	switch {
	case strings.HasSuffix(path, dockerConfig), strings.HasSuffix(path, ".json"):
		return "json"
	case strings.HasSuffix(path, ".yaml"), strings.HasSuffix(path, ".yml"):
		return "yaml"
	case strings.HasSuffix(path, ".env"):
		return "dotenv"
	case strings.HasSuffix(path, ".ini"):
		return "ini"
	}
	return "binary"
}

// sources are the sealed files of one build, by the kustomization files that name them.
type sources struct {
	build   *build
	files   filesys.FileSystem
	visited map[string]bool // directories
	done    map[string]bool // files
}

// unsealSources opens the files that secret generators and patches take, before kustomize reads them. It
// writes to memory alone.
func (b *build) unsealSources(files filesys.FileSystem) error {
	s := &sources{b, files, map[string]bool{}, map[string]bool{}}
	if err := s.directory(b.directory); err != nil {
		return fmt.Errorf("error decrypting sources: %w", err)
	}
	return nil
}

// directory goes through a kustomization file and whatever it includes that is local. What is no
// directory is not gone through, and no error here.
func (s *sources) directory(path string) error {
	path, err := s.inside(path)
	if err != nil || s.visited[path] || !s.build.files.IsDir(path) {
		return err
	}
	s.visited[path] = true
	kustomization, err := s.load(path)
	if err != nil {
		return err
	}
	if err := s.named(path, kustomization); err != nil {
		return err
	}
	for _, each := range slices.Concat(kustomization.Resources, kustomization.Components) {
		if !filepath.IsAbs(each) {
			each = filepath.Join(path, each)
		}
		if err := s.directory(each); err != nil {
			return err
		}
	}
	return nil
}

// named opens the files that one kustomization file names.
func (s *sources) named(directory string, kustomization *kustypes.Kustomization) error {
	for _, generator := range kustomization.SecretGenerator {
		for _, each := range generator.FileSources {
			key, file, given := strings.Cut(each, "=")
			if !given {
				file = key
			}
			if err := s.file(directory, file, formatOf(key)); err != nil {
				return err
			}
		}
		for _, file := range generator.EnvSources {
			format := formatOf(file)
			if format == "binary" {
				format = "dotenv"
			}
			if err := s.file(directory, file, format); err != nil {
				return err
			}
		}
	}
	for _, patch := range kustomization.Patches {
		if patch.Path != "" && !isRemote(patch.Path) {
			if err := s.file(directory, patch.Path, formatOf(patch.Path)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sources) file(directory, name, format string) error {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(directory, path)
	}
	path, err := s.inside(path)
	if err != nil || s.done[path] {
		return err
	}
	s.build.files.Exists(path) // for the closure
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: cannot decrypt irregular file as it has file mode type bits set", path)
	}
	if info.Size() > maxSealedFile {
		return fmt.Errorf("%s: cannot decrypt file with size (%d bytes) exceeding limit (%d)",
			path, info.Size(), maxSealedFile)
	}
	data, err := s.files.ReadFile(path)
	if err != nil || !bytes.Contains(data, []byte(markers[format])) {
		return err
	}
	s.done[path] = true
	relative, _ := relativeTo(s.build.root, path)
	sealed := sealedText{
		Data: data, Input: format, Output: format, Prefix: "error decrypting sources: ", File: relative,
	}
	if plain := s.build.unsealing.take(sealed, relative); plain != nil {
		return s.files.WriteFile(path, plain)
	}
	return nil
}

// inside resolves a path; one that climbs out of the root ends at the root.
func (s *sources) inside(path string) (string, error) {
	root := s.build.root
	if path == root || strings.HasPrefix(path, root+"/") {
		path = strings.TrimPrefix(path, root)
	}
	return securejoin.SecureJoin(root, path)
}

// unseal opens the resources of a build; false means that the answer says why that did not go.
func (b *build) unseal(all resmap.ResMap) bool {
	u := b.unsealing
	for _, r := range all.Resources() {
		if strings.EqualFold(r.GetAnnotations()[decryptKey], "disabled") {
			continue
		}
		before := r.CurId()
		err := u.resource(r)
		if err == nil && r.CurId() != before {
			_, err = all.Replace(r)
		}
		if err != nil {
			err = fmt.Errorf("decryption failed for '%s/%s': %w", r.GetGvk(), r.GetName(), err)
			b.fail("decryption", "decrypt", r, err)
		}
	}
	b.answer.Sealed = u.needed
	return len(u.needed) == 0 && len(b.answer.Errors) == 0
}

func (u *unsealing) resource(r *resource.Resource) error {
	if isSealed(r) {
		data, err := r.MarshalJSON()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("'%s/%s' %s", r.GetNamespace(), r.GetName(), r.GetKind())
		plain := u.take(u.of(r, data, "json", "json", name+" data"), label(r))
		if plain == nil {
			return nil
		}
		if err := r.UnmarshalJSON(plain); err != nil { // its text may quote what was opened
			return fmt.Errorf("failed to unmarshal decrypted %s to JSON", name)
		}
		return nil
	}
	if r.GetKind() != "Secret" {
		return nil
	}
	values := r.GetDataMap()
	changed := false
	for _, key := range sorted(values) {
		data, err := base64.StdEncoding.DecodeString(values[key])
		if err != nil {
			continue // said by whoever reads it
		}
		input := sealedFormat(data)
		if input == "" {
			continue
		}
		what := fmt.Sprintf("'%s/%s' Secret field '%s'", r.GetNamespace(), r.GetName(), key)
		if plain := u.take(u.of(r, data, input, formatOf(key), what), label(r)+":"+key); plain != nil {
			values[key] = base64.StdEncoding.EncodeToString(plain)
			changed = true
		}
	}
	if changed {
		r.SetDataMap(values)
	}
	return nil
}

func (u *unsealing) of(r *resource.Resource, data []byte, input, output, what string) sealedText {
	prefix := fmt.Sprintf("decryption failed for '%s/%s': failed to decrypt and format %s: ",
		r.GetGvk(), r.GetName(), what)
	return sealedText{Data: data, Input: input, Output: output, Prefix: prefix, Subject: subjectOf(r)}
}

func isSealed(r *resource.Resource) bool {
	field := r.Field("sops")
	return !field.IsNilOrEmpty() && !field.Value.Field("mac").IsNilOrEmpty()
}

// sealedFormat tells the format by the marker; "" when there is none. Sealed binary data is JSON, too.
func sealedFormat(data []byte) string {
	for _, format := range []string{"json", "dotenv", "ini", "yaml"} {
		if bytes.Contains(data, []byte(markers[format])) {
			return format
		}
	}
	return ""
}

func label(r *resource.Resource) string {
	if namespace := r.GetNamespace(); namespace != "" {
		return namespace + "/" + r.GetName()
	}
	return r.GetName()
}
