package main

import "testing"

func TestNewestTag(t *testing.T) {
	tags := []string{"v1.0.0", "1.2.0", "1.10.1", "1.11.0-rc.1", "2.0.0", "1.9", "latest", "1.10.1_build", "sha-1"}
	for _, each := range []struct {
		name, within, filter, want string
		chart                      bool
		fails                      bool
	}{
		{name: "numbers, not text", within: "1.x", want: "1.10.1"},
		{name: "pre-releases only when asked for", within: ">=1.0.0-0 <2.0.0-0", want: "1.11.0-rc.1"},
		{name: "everything", within: "*", want: "2.0.0"},
		{name: "the v stays", within: "<1.1.0", want: "v1.0.0"},
		{name: "a filter anywhere in the tag", within: ">=0.0.0-0", filter: "rc", want: "1.11.0-rc.1"},
		{name: "nothing", within: "3.x"},
		{name: "charts", within: "1.10.1", filter: "build", chart: true, want: "1.10.1_build"},
		{name: "two parts are no version", within: "1.9.x"},
		{name: "a bad range", within: "one", fails: true},
		{name: "a bad filter", within: "*", filter: "(", fails: true},
	} {
		t.Run(each.name, func(t *testing.T) {
			r := newestTag(&request{Tags: tags, Range: each.within, Filter: each.filter, Chart: each.chart})
			if (len(r.Errors) > 0) != each.fails || r.Text != each.want {
				t.Errorf("got %q, %v", r.Text, r.Errors)
			}
		})
	}
}
