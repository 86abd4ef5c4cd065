package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
)

// render turns what kustomize built into the objects that Flux applies: substituted, emitted as YAML
// and read again, because that is the way they take there.
func (b *build) render(all resmap.ResMap) {
	s := newSubstitution(b.request, b.kustomization)
	if s != nil && all.Size() > 0 {
		if bad := s.badNames(); len(bad) > 0 {
			b.answer.Errors = append(b.answer.Errors, bad...)
			return
		}
	}
	if all.Size() > b.limits.objects {
		message := fmt.Sprintf("the build has %d objects, the limit is %d", all.Size(), b.limits.objects)
		b.answer = failure("too_big", "build", message)
		return
	}
	var unknown map[*resource.Resource][]string
	if b.unsealing != nil {
		if !b.unseal(all) {
			return
		}
		if !b.unsealing.open {
			unknown = b.unsealing.unknown(all)
		}
		b.answer.Unnamed = !b.unsealing.named
	}
	for _, r := range all.Resources() {
		if r.GetName() == "" || r.GetKind() == "" || r.GetApiVersion() == "" {
			b.fail("not_an_object", "validate", r, fmt.Errorf(
				"failed to decode Kubernetes apiVersion, kind and name from: apiVersion %q, kind %q, name %q",
				r.GetApiVersion(), r.GetKind(), r.GetName()))
			continue
		}
		b.renderOne(all, r, s, unknown[r])
	}
}

func (b *build) renderOne(all resmap.ResMap, r *resource.Resource, s *substitution, unknown []string) {
	out := rendered{Origin: b.origin(r)}
	if s != nil && optedOut(r) {
		out.Substitution, s = "disabled", nil
	}
	var done substituted
	objects, ok := s.shortcut(r)
	if !ok {
		if objects, done, ok = b.longWay(all, r, s); !ok {
			return
		}
		out.Unresolved = done.kept.names
	}
	out.Unresolved = append(unknown, out.Unresolved...)
	shown := b.shown(done)
	for i, object := range objects {
		if tooDeep(object.Object, maxDepth) {
			b.fail("too_deep", "encode", r, fmt.Errorf("the object nests deeper than %d levels", maxDepth))
			continue
		}
		if why := dropped(object); why != "" {
			b.drop(r, why)
			continue
		}
		out.Object, _ = done.kept.restore(object.Object).(map[string]any)
		if out.Display = nil; i < len(shown) && !reflect.DeepEqual(shown[i], out.Object) {
			out.Display = shown[i]
		}
		b.answer.Resources = append(b.answer.Resources, out)
	}
}

// longWay is Flux's; false means that the answer says why it ended.
func (b *build) longWay(
	all resmap.ResMap, r *resource.Resource, s *substitution,
) (objects []*unstructured.Unstructured, done substituted, ok bool) {
	if s != nil {
		var problems []problem
		if done, problems = s.apply(all, r); len(problems) > 0 {
			b.answer.Errors = append(b.answer.Errors, problems...)
			return nil, done, false
		}
	}
	objects, err := read(r)
	if err != nil {
		b.fail("yaml", "encode", r, err)
	}
	return objects, done, err == nil
}

// shown are the objects of the display rendering, none when there is no such.
func (b *build) shown(done substituted) (objects []map[string]any) {
	if done.display == nil {
		return nil
	}
	display, err := read(done.display)
	if err != nil {
		return nil
	}
	for _, object := range display {
		restored, _ := done.kept.restore(object.Object).(map[string]any)
		objects = append(objects, restored)
	}
	return objects
}

// dropped says why Flux's reader leaves a document out, without a word there; "" when it doesn't.
func dropped(object *unstructured.Unstructured) string {
	switch {
	case object.GetName() == "":
		return "metadata.name is not a text"
	case object.GetKind() == "" || object.GetAPIVersion() == "":
		return "kind or apiVersion is not a text"
	case strings.EqualFold(object.GetKind(), "Kustomization") &&
		strings.HasPrefix(object.GetAPIVersion(), "kustomize.config.k8s.io/"):
		return "it is a kustomization file, not an object"
	}
	return ""
}

func (b *build) drop(r *resource.Resource, why string) {
	b.answer.Warnings = append(b.answer.Warnings, problem{
		Code: "dropped", Stage: "encode", Subject: subjectOf(r),
		Message: "left out of the build, as Flux does: " + why,
	})
}

func (b *build) fail(code, stage string, r *resource.Resource, err error) {
	b.answer.Errors = append(b.answer.Errors, problem{
		Code: code, Stage: stage, Message: relativeText(err.Error(), b.root), Subject: subjectOf(r),
	})
}

// origin is the file kustomize remembers; relative to the root, where kustomize's is to the directory.
func (b *build) origin(r *resource.Resource) string {
	origin, err := r.GetOrigin()
	if err != nil || origin == nil || origin.Repo != "" {
		return ""
	}
	path := origin.Path
	if path == "" {
		path = origin.ConfiguredIn
	}
	if path == "" {
		return ""
	}
	relative, _ := relativeTo(b.root, b.directory+"/"+path)
	return relative
}

// read emits a resource and reads it as Flux does.
func read(r *resource.Resource) ([]*unstructured.Unstructured, error) {
	document, err := r.AsYAML()
	if err != nil {
		return nil, err
	}
	return decode(document)
}

// decode reads every object of a YAML text and takes Lists apart.
func decode(text []byte) (objects []*unstructured.Unstructured, err error) {
	decoder := kyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 2048)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return objects, err
		}
		if !object.IsList() {
			objects = append(objects, object)
			continue
		}
		err = object.EachListItem(func(item runtime.Object) error {
			objects = append(objects, item.(*unstructured.Unstructured))
			return nil
		})
		if err != nil {
			return objects, err
		}
	}
}
