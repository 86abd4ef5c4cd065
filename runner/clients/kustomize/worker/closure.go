package main

import (
	"path/filepath"
	"sort"
	"strings"
)

// closure is every path that decided a build, relative to the root; each is in one group.
type closure struct {
	Read    []string          `json:"read"`
	Stat    []string          `json:"stat"`
	Dirs    []string          `json:"dirs"`
	Listed  []string          `json:"listed"`
	Missing []string          `json:"missing"`
	Links   map[string]string `json:"links"`
}

func (r *recorder) closure() *closure {
	c := &closure{
		Read: []string{}, Stat: []string{}, Dirs: []string{}, Listed: []string{}, Missing: []string{},
		Links: map[string]string{},
	}
	for path, s := range r.seen {
		// Outside the root are only the clones of remote bases.
		if relative, inside := relativeTo(r.root, path); inside {
			group := c.group(s)
			*group = append(*group, relative)
		}
	}
	for link, target := range r.links {
		relative, _ := relativeTo(r.root, link)
		c.Links[relative] = target
	}
	for _, group := range [][]string{c.Read, c.Stat, c.Dirs, c.Listed, c.Missing} {
		sort.Strings(group)
	}
	return c
}

func (c *closure) group(s sight) *[]string {
	switch {
	case s&sawContent != 0:
		return &c.Read
	case s&sawEntries != 0:
		return &c.Listed
	case s&sawDirectory != 0:
		return &c.Dirs
	case s&sawFile != 0:
		return &c.Stat
	}
	return &c.Missing
}

func relativeTo(root, path string) (string, bool) {
	relative, err := filepath.Rel(root, path)
	if err != nil || relative == ".." || strings.HasPrefix(relative, "../") {
		return "", false
	}
	return relative, true
}
