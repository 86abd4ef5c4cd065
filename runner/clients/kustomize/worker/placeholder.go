package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
)

// What stands for a sealed value says where it is, and by a few digits of its hash, which value: it is
// another one when the sealed text is. So it says nothing that is not in Git.

var (
	sealedValue = regexp.MustCompile(`^ENC\[AES256_GCM,data:`)
	standing    = regexp.MustCompile(`‹SOPS ([^›]*) [0-9a-f]{8}›`)
	// kustomize's hash of a content, at the end of a generated name
	hashedName = regexp.MustCompile(`-[bcdfghkmt2456789]{10}$`)
)

func standText(sealed []byte, label string) string {
	sum := sha256.Sum256(sealed)
	return fmt.Sprintf("‹SOPS %s %x›", strings.ReplaceAll(label, "›", ""), sum[:4])
}

// stand gives a sealed text with a placeholder for each sealed value; as a whole it is one where its values
// cannot be told apart.
func stand(data []byte, format, label string) []byte {
	var plain []byte
	switch format {
	case "yaml", "json":
		plain = standTree(data, format, label)
	case "dotenv":
		plain = standLines(data, label, "=", func(key string) bool { return strings.HasPrefix(key, "sops_") })
	case "ini":
		text, _, _ := bytes.Cut(data, []byte("[sops]")) // always the last section
		plain = standLines(text, label, "=", func(string) bool { return false })
	}
	if plain == nil {
		return []byte(standText(data, label))
	}
	return plain
}

func standTree(data []byte, format, label string) []byte {
	var text bytes.Buffer
	decoder, encoder := yaml3.NewDecoder(bytes.NewReader(data)), yaml3.NewEncoder(&text)
	for {
		var document yaml3.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return text.Bytes()
		} else if err != nil || document.Content[0].Kind != yaml3.MappingNode {
			return nil
		}
		root := document.Content[0]
		standNode(withoutMetadata(root), label, nil, child(root, "kind") == "Secret")
		if format == "json" {
			return asJSON(root)
		}
		if encoder.Encode(&document) != nil {
			return nil
		}
	}
}

func asJSON(node *yaml3.Node) []byte {
	var value any
	if node.Decode(&value) != nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return text
}

func withoutMetadata(root *yaml3.Node) *yaml3.Node {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "sops" {
			root.Content = append(root.Content[:i], root.Content[i+2:]...)
			break
		}
	}
	return root
}

func child(mapping *yaml3.Node, key string) string {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1].Value
		}
	}
	return ""
}

func standNode(node *yaml3.Node, label string, path []string, isSecret bool) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	switch node.Kind {
	case yaml3.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			key.HeadComment, key.LineComment, key.FootComment = "", "", ""
			standNode(node.Content[i+1], label, append(path, key.Value), isSecret)
		}
	case yaml3.SequenceNode:
		for i, item := range node.Content {
			standNode(item, label, append(path, fmt.Sprint(i)), isSecret)
		}
	case yaml3.ScalarNode:
		if !sealedValue.MatchString(node.Value) {
			return
		}
		inData := isSecret && len(path) == 2 && path[0] == "data"
		if isSecret && len(path) == 2 && (inData || path[0] == "stringData") {
			path = path[1:]
		}
		text := standText([]byte(node.Value), label+":"+strings.Join(path, "."))
		if inData {
			text = base64.StdEncoding.EncodeToString([]byte(text))
		}
		node.Value, node.Tag, node.Style = text, "!!str", yaml3.DoubleQuotedStyle
	}
}

// standLines is for lines of a key and a value; comments go.
func standLines(data []byte, label, separator string, drop func(key string) bool) []byte {
	var lines []string
	section := ""
	for _, line := range strings.Split(string(data), "\n") {
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "#") || strings.HasPrefix(bare, ";") {
			continue
		}
		if strings.HasPrefix(bare, "[") && strings.HasSuffix(bare, "]") {
			section = strings.Trim(bare, "[]") + "."
		}
		key, value, found := strings.Cut(line, separator)
		name := strings.TrimSpace(key)
		if found && drop(name) {
			continue
		}
		if value = strings.TrimSpace(value); found && sealedValue.MatchString(value) {
			line = key + separator + standText([]byte(value), label+":"+section+name)
		}
		lines = append(lines, line)
	}
	return []byte(strings.Join(lines, "\n"))
}

// stands are the sealed values that a resource has placeholders for, sorted.
func stands(r *resource.Resource) []string {
	text, err := r.AsYAML()
	if err != nil {
		return nil
	}
	if r.GetKind() == "Secret" {
		for _, value := range r.GetDataMap() {
			if data, err := base64.StdEncoding.DecodeString(value); err == nil {
				text = append(append(text, '\n'), data...)
			}
		}
	}
	found := map[string]bool{}
	for _, each := range standing.FindAllSubmatch(text, -1) {
		found["SOPS "+string(each[1])] = true
	}
	return sorted(found)
}

// unknown tells what is not known of each resource of a build with placeholders: values, and the names that
// have a hash of such values.
func (u *unsealing) unknown(all resmap.ResMap) map[*resource.Resource][]string {
	found := map[*resource.Resource][]string{}
	hashed := map[string]*resource.Resource{}
	for _, r := range all.Resources() {
		if names := stands(r); len(names) > 0 {
			found[r] = names
			if hashedName.MatchString(r.GetName()) {
				hashed[r.GetName()] = r
				u.named = false
			}
		}
	}
	if len(hashed) == 0 {
		return found
	}
	for _, r := range all.Resources() {
		text, err := r.AsYAML()
		for _, name := range sorted(hashed) {
			if err == nil && hashed[name] != r && bytes.Contains(text, []byte(name)) {
				generated := hashedName.ReplaceAllString(name, "-…")
				found[r] = append(found[r], "the name of "+hashed[name].GetKind()+" "+generated)
			}
		}
	}
	return found
}

func isRemote(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Scheme != "" && u.Host != ""
}
