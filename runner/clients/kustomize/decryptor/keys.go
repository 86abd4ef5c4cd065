package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"unicode"

	"cloud.google.com/go/kms/apiv1"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/getsops/sops/v3/age"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// held is all that may open something for one request.
type held struct {
	age   age.ParsedIdentities
	pgp   openpgp.EntityList
	vault string
	aws   aws.CredentialsProvider
	azure azcore.TokenCredential
	gcp   oauth2.TokenSource

	secrets []string // that no message may have
}

// importKeys reads keys by the names that they have in the Secret; other names mean nothing.
func importKeys(q *request) (*held, error) {
	h := &held{}
	for _, name := range sorted(q.Given) {
		h.hide(q.Given[name])
		if err := h.add(name, q.Given[name]); err != nil {
			return h, fmt.Errorf("failed to import the %s key of this run: %w", strings.TrimPrefix(filepath.Ext(name), "."), err)
		}
	}
	for _, name := range sorted(q.Keys) {
		h.hide(q.Keys[name])
		if err := h.add(name, q.Keys[name]); err != nil {
			return h, fmt.Errorf("failed to import '%s' data from sops decryption Secret '%s': %w", name, q.Secret, err)
		}
	}
	return h, nil
}

func (h *held) add(name string, value []byte) (err error) {
	switch {
	case filepath.Ext(name) == ".agekey":
		return h.age.Import(string(value))
	case filepath.Ext(name) == ".asc":
		var found openpgp.EntityList
		found, err = keyRing(value)
		h.pgp = append(h.pgp, found...)
	case name == "sops.vault-token":
		h.vault = strings.TrimSpace(string(value))
	case name == "sops.aws-kms":
		h.aws, err = awsCredentials(value)
	case name == "sops.azure-kv":
		h.azure, err = azureCredential(value)
	case name == "sops.gcp-kms":
		var found *google.Credentials
		if found, err = google.CredentialsFromJSON(context.Background(), bytes.Trim(value, "\n"), kms.DefaultAuthScopes()...); err == nil {
			h.gcp = found.TokenSource
		}
	}
	return err
}

// keyRing reads OpenPGP keys, armored or not. They stay in memory: gpg would want a directory for them.
func keyRing(data []byte) (found openpgp.EntityList, err error) {
	const begin = "-----BEGIN PGP "
	if !bytes.Contains(data, []byte(begin)) {
		return openpgp.ReadKeyRing(bytes.NewReader(data))
	}
	for _, block := range strings.Split(string(data), begin)[1:] {
		ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(begin + block))
		if err != nil {
			return nil, err
		}
		found = append(found, ring...)
	}
	return found, nil
}

const shortest = 8 // characters of what counts as secret

// hide remembers the lines and words of a key: a parser may quote what it does not understand.
func (h *held) hide(value []byte) {
	around := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"'{}[],:", r) }
	for _, word := range strings.FieldsFunc(string(value), around) {
		if len(word) >= shortest {
			h.secrets = append(h.secrets, word)
		}
	}
}

func (h *held) redact(text string) string {
	for _, secret := range h.secrets {
		if !strings.HasPrefix(secret, "-----") && !strings.HasPrefix(secret, "age1") {
			text = strings.ReplaceAll(text, secret, "<redacted>")
		}
	}
	return text
}

func sorted(keys map[string][]byte) (names []string) {
	for name := range keys {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
