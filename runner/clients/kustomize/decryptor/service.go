package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/kms"
)

// service opens data keys with what was given, and with nothing else that may lie around. A cloud is
// asked only where there are credentials for it.
type service struct {
	keyservice.UnimplementedKeyServiceServer
	held *held
}

func (h *held) service() *service { return &service{held: h} }

func (s *service) Decrypt(_ context.Context, q *keyservice.DecryptRequest) (*keyservice.DecryptResponse, error) {
	plain, err := s.open(q.Key, q.Ciphertext)
	if err != nil {
		return nil, err
	}
	return &keyservice.DecryptResponse{Plaintext: plain}, nil
}

func (s *service) open(key *keyservice.Key, sealed []byte) ([]byte, error) {
	switch k := key.KeyType.(type) {
	case *keyservice.Key_AgeKey:
		return s.withAge(k.AgeKey, sealed)
	case *keyservice.Key_PgpKey:
		return s.withPGP(sealed)
	case *keyservice.Key_KmsKey:
		return s.withAWS(k.KmsKey, sealed)
	case *keyservice.Key_AzureKeyvaultKey:
		return s.withAzure(k.AzureKeyvaultKey, sealed)
	case *keyservice.Key_GcpKmsKey:
		return s.withGCP(k.GcpKmsKey, sealed)
	case *keyservice.Key_VaultKey:
		return s.withVault(k.VaultKey, sealed)
	}
	return nil, errors.New("keys of this kind are not supported")
}

func (s *service) withAge(k *keyservice.AgeKey, sealed []byte) ([]byte, error) {
	if len(s.held.age) == 0 {
		return nil, errors.New("no age key is given")
	}
	key := age.MasterKey{Recipient: k.Recipient, EncryptedKey: string(sealed)}
	s.held.age.ApplyToMasterKey(&key)
	return key.Decrypt()
}

func (s *service) withPGP(sealed []byte) ([]byte, error) {
	if len(s.held.pgp) == 0 {
		return nil, errors.New("no OpenPGP key is given")
	}
	block, err := armor.Decode(strings.NewReader(string(sealed)))
	if err != nil {
		return nil, fmt.Errorf("failed to decrypt sops data key with pgp: %w", err)
	}
	message, err := openpgp.ReadMessage(block.Body, s.held.pgp, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to decrypt sops data key with pgp: %w", err)
	}
	return io.ReadAll(message.UnverifiedBody)
}

func (s *service) withAWS(k *keyservice.KmsKey, sealed []byte) ([]byte, error) {
	encryption := map[string]*string{}
	for name, value := range k.Context {
		encryption[name] = &value
	}
	key := kms.MasterKey{Arn: k.Arn, Role: k.Role, EncryptionContext: encryption, EncryptedKey: string(sealed)}
	switch {
	case s.held.aws != nil:
		kms.NewCredentialsProvider(s.held.aws).ApplyToMasterKey(&key)
	case !anySet("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
		return nil, errors.New("no AWS credentials are given")
	}
	return key.Decrypt()
}

func (s *service) withAzure(k *keyservice.AzureKeyVaultKey, sealed []byte) ([]byte, error) {
	key := azkv.MasterKey{VaultURL: k.VaultUrl, Name: k.Name, Version: k.Version, EncryptedKey: string(sealed)}
	switch {
	case s.held.azure != nil:
		azkv.NewTokenCredential(s.held.azure).ApplyToMasterKey(&key)
	case !anySet("AZURE_CLIENT_ID", "AZURE_CONFIG_DIR"):
		return nil, errors.New("no Azure credentials are given")
	}
	return key.Decrypt()
}

func (s *service) withGCP(k *keyservice.GcpKmsKey, sealed []byte) ([]byte, error) {
	key := gcpkms.MasterKey{ResourceID: k.ResourceId, EncryptedKey: string(sealed)}
	switch {
	case s.held.gcp != nil:
		gcpkms.NewTokenSource(s.held.gcp).ApplyToMasterKey(&key)
	case !anySet("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN",
		"CLOUDSDK_AUTH_ACCESS_TOKEN"):
		return nil, errors.New("no Google Cloud credentials are given")
	}
	return key.Decrypt()
}

func (s *service) withVault(k *keyservice.VaultKey, sealed []byte) ([]byte, error) {
	key := hcvault.MasterKey{
		VaultAddress: k.VaultAddress, EnginePath: k.EnginePath, KeyName: k.KeyName, EncryptedKey: string(sealed),
	}
	switch {
	case s.held.vault != "":
		hcvault.Token(s.held.vault).ApplyToMasterKey(&key)
	case !anySet("VAULT_TOKEN"):
		return nil, errors.New("no Vault token is given")
	}
	return key.Decrypt()
}
