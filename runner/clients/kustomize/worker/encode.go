package main

import (
	"bytes"
	"encoding/json"

	"sigs.k8s.io/yaml"
)

// encodeObjects writes objects as Flux does: one YAML document each, keys sorted.
func encodeObjects(objects []json.RawMessage) response {
	var text bytes.Buffer
	for i, object := range objects {
		document, err := yaml.JSONToYAML(object)
		if err != nil {
			return failure("yaml", "encode", err.Error())
		}
		if i > 0 {
			text.WriteString("---\n")
		}
		text.Write(document)
	}
	return response{Text: text.String()}
}
