package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
)

const (
	maxNodes = 2_000_000 // of one document, aliases expanded
	maxDepth = 500       // of one document or object; decoders of the parent recurse
)

var errBomb = errors.New("YAML aliases expand to more than the limit")

// harmless are the hashes of texts that were looked through: a base is read for each of its overlays.
var harmless = map[[sha256.Size]byte]bool{}

const maxHarmless = 10_000

// guardYAML refuses what would blow up when a parser expands it: aliases of aliases, and aliases that
// contain themselves. It expands nothing, and leaves every other fault for the real parser to report.
func guardYAML(data []byte) error {
	if !bytes.ContainsRune(data, '&') || !bytes.ContainsRune(data, '*') {
		return nil
	}
	hash := sha256.Sum256(data)
	if harmless[hash] {
		return nil
	}
	err := lookThrough(data)
	if err == nil {
		if len(harmless) >= maxHarmless {
			clear(harmless)
		}
		harmless[hash] = true
	}
	return err
}

func lookThrough(data []byte) error {
	decoder := yaml3.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml3.Node
		if err := decoder.Decode(&document); err != nil {
			if err == io.EOF {
				return nil
			}
			return nil //nolint:nilerr
		}
		c := counter{size: map[*yaml3.Node]int{}, open: map[*yaml3.Node]bool{}}
		if !c.fits(&document) {
			return errBomb
		}
	}
}

// counter computes the expanded size of every node once.
type counter struct {
	size map[*yaml3.Node]int
	open map[*yaml3.Node]bool
}

func (c *counter) fits(node *yaml3.Node) bool {
	_, ok := c.count(node, 0)
	return ok
}

func (c *counter) count(node *yaml3.Node, depth int) (int, bool) {
	if depth > 20*maxDepth || c.open[node] {
		return 0, false
	}
	if size, known := c.size[node]; known {
		return size, true
	}
	c.open[node] = true
	defer delete(c.open, node)
	total := 1
	for _, child := range children(node) {
		size, ok := c.count(child, depth+1)
		if total += size; !ok || total > maxNodes {
			return 0, false
		}
	}
	// YAML in a string, such as an inline patch, is parsed in its turn.
	if node.Kind == yaml3.ScalarNode && strings.Contains(node.Value, "\n") && guardYAML([]byte(node.Value)) != nil {
		return 0, false
	}
	c.size[node] = total
	return total, true
}

func children(node *yaml3.Node) []*yaml3.Node {
	if node.Kind == yaml3.AliasNode {
		return []*yaml3.Node{node.Alias}
	}
	return node.Content
}

// tooDeep reports whether a decoded object nests deeper than the limit.
func tooDeep(value any, left int) bool {
	if left == 0 {
		return true
	}
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			if tooDeep(child, left-1) {
				return true
			}
		}
	case []any:
		for _, child := range v {
			if tooDeep(child, left-1) {
				return true
			}
		}
	}
	return false
}
