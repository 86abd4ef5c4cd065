package main

import (
	"strings"

	"github.com/fluxcd/pkg/envsubst/parse"
)

// span is one outermost ${…} of a text.
type span struct {
	start, end int
	names      map[string]bool // of the expression and of those inside it
}

// spans finds the outermost expressions exactly where Flux's parser sees them.
func spans(text string) ([]span, error) {
	if _, err := parse.Parse(text); err != nil {
		return nil, err
	}
	var found []span
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			s := expressionAt(text, i)
			found = append(found, s)
			i = s.end
		case strings.HasPrefix(text[i:], "$$"):
			i += 2 // an escaped dollar opens nothing
		default:
			i++
		}
	}
	return found, nil
}

// expressionAt asks the parser itself where an expression ends: it is the shortest text from its start
// to a closing brace that parses as one expression and nothing else.
func expressionAt(text string, start int) span {
	for end := start; ; end++ {
		brace := strings.IndexByte(text[end:], '}')
		if brace < 0 {
			return span{start, len(text), nil} // not reached: the whole text did parse
		}
		end += brace
		tree, err := parse.Parse(text[start : end+1])
		if err != nil {
			continue
		}
		if expression, ok := tree.Root.(*parse.FuncNode); ok {
			return span{start, end + 1, names(expression, func(*parse.FuncNode) bool { return true })}
		}
	}
}

// names collects the variables of an expression tree that satisfy a condition.
func names(node parse.Node, wanted func(*parse.FuncNode) bool) map[string]bool {
	found := map[string]bool{}
	var visit func(parse.Node)
	visit = func(node parse.Node) {
		switch n := node.(type) {
		case *parse.ListNode:
			for _, child := range n.Nodes {
				visit(child)
			}
		case *parse.FuncNode:
			for _, child := range n.Args {
				visit(child)
			}
			if wanted(n) {
				found[n.Param] = true
			}
		}
	}
	visit(node)
	return found
}

// suppliesDefault holds the operators that do without a value; Flux evaluates all other expressions
// strictly, those inside an unused default included.
var suppliesDefault = map[string]bool{
	"-": true, "+": true, "=": true, "?": true, ":-": true, ":+": true, ":=": true, ":?": true,
}

// missing lists the variables without which strict substitution of a text fails.
func missing(text string, variables map[string]string) map[string]bool {
	tree, err := parse.Parse(text)
	if err != nil {
		return nil
	}
	return names(tree.Root, func(f *parse.FuncNode) bool {
		_, set := variables[f.Param]
		return !set && !suppliesDefault[f.Name]
	})
}

// mentions reports whether a text has an expression with one of the names.
func mentions(text string, wanted map[string]string) bool {
	tree, err := parse.Parse(text)
	if err != nil {
		return false
	}
	found := names(tree.Root, func(f *parse.FuncNode) bool {
		_, ok := wanted[f.Param]
		return ok
	})
	return len(found) > 0
}
