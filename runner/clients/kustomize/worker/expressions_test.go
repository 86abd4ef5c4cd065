package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/envsubst"
)

func TestSpansAreTheParsersOwn(t *testing.T) {
	cases := map[string][]string{
		"no expression, $a $$ }":        nil,
		"${a}":                          {"${a}"},
		"x${a}y${b:=c}z":                {"${a}", "${b:=c}"},
		"$${a} $$${b} $$$${c}":          {"${b}"},
		"${a:=p-${b}-s}}":               {"${a:=p-${b}-s}"},
		"${a:=${b:=${c}}} ${d}":         {"${a:=${b:=${c}}}", "${d}"},
		`${a:={"k":1}} {`:               {`${a:={"k":1}`},
		"${a//x/y}${#b}${c^^}${d:1:2}":  {"${a//x/y}", "${#b}", "${c^^}", "${d:1:2}"},
		"${a:=b$$c}":                    {"${a:=b$$c}"},
		"${a/b} c / d}":                 {"${a/b} c / d}"},
		"${ünïcode} ${a:=\n  several }": {"${ünïcode}", "${a:=\n  several }"},
	}
	for text, want := range cases {
		found, err := spans(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var got []string
		for _, s := range found {
			got = append(got, text[s.start:s.end])
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSpansFailWhereTheParserFails(t *testing.T) {
	for _, text := range []string{"${a", "${}", "${a-b}", "${ a }", "${a:=b"} {
		if _, err := spans(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// Substituting only the spans, one by one, must be the same as substituting the text.
func FuzzSpans(f *testing.F) {
	for _, seed := range []string{"${a}-$${b}$$$${c}", "${a:=${b}}x}", "${a//\\//-}", "$${$${${a}"} {
		f.Add(seed)
	}
	value := func(name string) (string, bool) { return "<" + name + ">", true }
	f.Fuzz(func(t *testing.T, text string) {
		found, err := spans(text)
		if err != nil || strings.ContainsRune(text, 0) { // the parser ends at NUL; YAML has none
			return
		}
		want, err := envsubst.Eval(text, value)
		if err != nil {
			return
		}
		var pieces string
		last := 0
		for _, s := range append(found, span{start: len(text), end: len(text)}) {
			for _, piece := range []string{text[last:s.start], text[s.start:s.end]} {
				out, err := envsubst.Eval(piece, value)
				if err != nil {
					t.Fatalf("%q: %q: %v", text, piece, err)
				}
				pieces += out
			}
			last = s.end
		}
		if pieces != want {
			t.Errorf("%q: got %q, want %q", text, pieces, want)
		}
	})
}
