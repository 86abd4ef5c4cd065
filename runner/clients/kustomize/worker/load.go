package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/konfig"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// load reads the kustomization file of a directory.
func (s *sources) load(directory string) (*kustypes.Kustomization, error) {
	found := ""
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		path := filepath.Join(directory, name)
		if !s.files.Exists(path) {
			continue
		}
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("expected %s to be a regular file", name)
		}
		if found != "" {
			return nil, fmt.Errorf("found multiple kustomization files")
		}
		found = path
	}
	if found == "" {
		return nil, fmt.Errorf("no kustomization file found")
	}
	data, err := s.files.ReadFile(found)
	if err != nil {
		return nil, fmt.Errorf("failed to read kustomization file: %w", err)
	}
	var kustomization kustypes.Kustomization
	if err := yaml.Unmarshal(data, &kustomization); err != nil {
		return nil, fmt.Errorf("failed to unmarshal kustomization file from '%s': %w", found, err)
	}
	return &kustomization, nil
}
