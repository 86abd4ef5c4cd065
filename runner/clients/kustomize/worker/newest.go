package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/fluxcd/pkg/version"
)

// newestTag is the tag that source-controller would choose of a repository's: the newest version that
// is in a range, of those tags that a filter finds something in. "" is none.
//
// Source: source-controller, internal/controller/ocirepository_controller.go, getTagBySemver.
func newestTag(q *request) response {
	filter, err := regexp.Compile(q.Filter)
	if err != nil {
		return failure("invalid", "input", "semverFilter: "+err.Error())
	}
	wanted, err := semver.NewConstraint(q.Range)
	if err != nil {
		return failure("invalid", "input", "semver '"+q.Range+"' parse error: "+err.Error())
	}
	found := []*semver.Version{}
	for _, tag := range q.Tags {
		if !filter.MatchString(tag) {
			continue
		}
		if q.Chart { // a tag cannot hold the `+` of a version, so Helm writes `_`
			tag = strings.ReplaceAll(tag, "_", "+")
		}
		if each, err := version.ParseVersion(tag); err == nil && wanted.Check(each) {
			found = append(found, each)
		}
	}
	if len(found) == 0 {
		return response{}
	}
	tag := slices.MaxFunc(found, (*semver.Version).Compare).Original()
	if q.Chart {
		tag = strings.ReplaceAll(tag, "+", "_")
	}
	return response{Text: tag}
}
