package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	treesFile  = "trees.json"
	clonesFile = "clones"
)

// clone is a directory that kustomize wanted a repository cloned into.
type clone struct {
	asked
	Directory string `json:"directory"`
	Found     bool   `json:"found"`
}

// installGit makes a directory with a git that is this very program, and what it may hand out.
func installGit(directory string, trees []tree) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	data, err := json.Marshal(trees)
	if err != nil {
		return err
	}
	if err := os.Mkdir(directory, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, treesFile), data, 0o600); err != nil {
		return err
	}
	return os.Symlink(self, filepath.Join(directory, "git"))
}

// isGit says whether this process was started under the name that installGit gave it.
func isGit() bool { return filepath.Base(os.Args[0]) == "git" }

// git does what kustomize runs git for (api/internal/git/cloner.go): init, remote add, `fetch --depth=1 URL REF`,
// checkout and submodule update. Of these only the fetch has something to do, for what it puts into the
// current directory is the tree itself.
func git(arguments []string) error {
	if len(arguments) != 4 || arguments[0] != "fetch" {
		return nil
	}
	programs := filepath.Dir(os.Args[0])
	data, err := os.ReadFile(filepath.Join(programs, treesFile))
	if err != nil {
		return err
	}
	var trees []tree
	if err := json.Unmarshal(data, &trees); err != nil {
		return err
	}
	directory, err := os.Getwd()
	if err != nil {
		return err
	}
	c := clone{asked: asked{URL: arguments[2], Ref: arguments[3], Git: true}, Directory: directory}
	for _, each := range trees {
		if each.URL == c.URL && each.Ref == c.Ref {
			c.Found = true
			if err := linkTree(each.Directory, directory); err != nil {
				return err
			}
		}
	}
	if err := c.append(filepath.Join(programs, clonesFile)); err != nil {
		return err
	}
	if !c.Found {
		return fmt.Errorf("%w: %s at %s", errRefused, c.URL, c.Ref)
	}
	return nil
}

func (c *clone) append(file string) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	list, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer list.Close()
	_, err = list.Write(append(line, '\n'))
	return err
}

// linkTree gives the regular files of a tree a second name: both are of the parent, and nobody writes to them.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil || relative == "." {
			return err
		}
		if entry.IsDir() {
			return os.Mkdir(filepath.Join(to, relative), 0o700)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		return os.Link(path, filepath.Join(to, relative))
	})
}
