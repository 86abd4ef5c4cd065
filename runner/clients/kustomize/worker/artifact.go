package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

type artifactDiff struct {
	Excluded    []string `json:"excluded"`
	Directories []string `json:"directories"`
	Symlinks    []string `json:"symlinks"`
}

// listArtifact says what of a source's tree source-controller would leave out of its artifact.
func listArtifact(root, ignore string) response {
	domain := strings.Split(root, string(filepath.Separator))
	if err := refuseIrregular(root); err != nil {
		return failure("irregular", "input", relativeText(err.Error(), root))
	}
	patterns, err := sourceignore.LoadIgnorePatterns(root, domain)
	if err != nil {
		return failure("missing_path", "input", relativeText(err.Error(), root))
	}
	patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(ignore), domain)...)
	diff, err := compare(root, matcher(patterns, domain))
	if err != nil {
		return failure("missing_path", "input", relativeText(err.Error(), root))
	}
	return response{Artifact: diff}
}

// matcher holds source-controller's two regimes: with any pattern of the user's, only the version
// control files stay excluded by default.
func matcher(patterns []gitignore.Pattern, domain []string) gitignore.Matcher {
	if len(patterns) == 0 {
		return sourceignore.NewDefaultMatcher(nil, domain)
	}
	return sourceignore.NewMatcher(append(sourceignore.VCSPatterns(domain), patterns...))
}

func compare(root string, excluded gitignore.Matcher) (*artifactDiff, error) {
	diff := &artifactDiff{Excluded: []string{}, Directories: []string{}, Symlinks: []string{}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch out := excluded.Match(strings.Split(path, string(filepath.Separator)), entry.IsDir()); {
		case entry.IsDir() && out: // entered all the same: a later pattern may bring back a file in it
			diff.Directories = append(diff.Directories, relative)
		case entry.IsDir():
		case !entry.Type().IsRegular():
			diff.Symlinks = append(diff.Symlinks, relative)
		case out:
			diff.Excluded = append(diff.Excluded, relative)
		}
		return nil
	})
	return diff, err
}

// refuseIrregular keeps the library from opening a pipe or a device by the name of an ignore file.
func refuseIrregular(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != sourceignore.IgnoreFile || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		return nil
	})
}
