package main

import (
	"strings"
	"testing"
)

func TestGuardRefusesOnlyWhatExpands(t *testing.T) {
	for name, text := range map[string]string{
		"self":            "a: &a [*a]",
		"through a merge": "a: &a {b: *a}\n<<: *a",
		"in a string":     "patch: |\n  a: &a [*a]\n",
	} {
		if guardYAML([]byte(text)) == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	for name, text := range map[string]string{
		"script":      "run: |\n  a && b * 2 &\n",
		"cron":        "schedule: '*/5 * * * *'\nquery: a&b",
		"alias":       "a: &a [1, 2]\nb: *a\nc: *a",
		"not YAML":    "& * [",
		"deep":        strings.Repeat("[", 600) + strings.Repeat("]", 600),
		"no document": "",
	} {
		if err := guardYAML([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSplitKeepsLines(t *testing.T) {
	documents, err := split([]byte("# c\n---\na: 1\n---\n---\n\nb: 2\n--- # x\n"))
	if err != nil || len(documents) != 3 {
		t.Fatalf("got %d documents, %v", len(documents), err)
	}
	for i, want := range []int{1, 3, 7} {
		if got := documents[i].first(); got != want {
			t.Errorf("document %d starts at %d, want %d", i, got, want)
		}
	}
}
