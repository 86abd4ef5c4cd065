package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	yamlv3 "go.yaml.in/yaml/v3"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

func anySet(names ...string) bool {
	for _, name := range names {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

var errNotYAML = errors.New("it is not the YAML that is expected there") // the parser would quote it

func awsCredentials(data []byte) (aws.CredentialsProvider, error) {
	var found struct {
		ID     string `yaml:"aws_access_key_id"`
		Secret string `yaml:"aws_secret_access_key"`
		Token  string `yaml:"aws_session_token"`
	}
	if yamlv3.Unmarshal(data, &found) != nil {
		return nil, fmt.Errorf("failed to unmarshal AWS credentials file: %w", errNotYAML)
	}
	return credentials.NewStaticCredentialsProvider(found.ID, found.Secret, found.Token), nil
}

// azureFile is what kustomize-controller reads: a service principal, as `az` prints it or with a secret
// or a certificate, or a managed identity.
type azureFile struct {
	AppID               string `yaml:"appId"`
	Tenant              string `yaml:"tenant"`
	Password            string `yaml:"password"`
	TenantID            string `yaml:"tenantId"`
	ClientID            string `yaml:"clientId"`
	ClientSecret        string `yaml:"clientSecret"`
	Certificate         string `yaml:"clientCertificate"`
	CertificatePassword string `yaml:"clientCertificatePassword"`
	SendChain           bool   `yaml:"clientCertificateSendChain"`
	AuthorityHost       string `yaml:"authorityHost"`
}

func azureCredential(data []byte) (azcore.TokenCredential, error) {
	var f azureFile
	text, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data) // `az` on Windows writes UTF-16
	if err != nil {
		return nil, errors.New("failed to decode Azure authentication file bytes")
	}
	if yamlv3.Unmarshal(text, &f) != nil {
		return nil, fmt.Errorf("failed to unmarshal Azure authentication file: %w", errNotYAML)
	}
	switch {
	case f.TenantID != "" && f.ClientID != "" && f.ClientSecret != "":
		return f.bySecret(f.TenantID, f.ClientID, f.ClientSecret)
	case f.TenantID != "" && f.ClientID != "" && f.Certificate != "":
		return f.byCertificate()
	case f.Tenant != "" && f.AppID != "" && f.Password != "":
		return f.bySecret(f.Tenant, f.AppID, f.Password)
	case f.ClientID != "":
		return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
			ID: azidentity.ClientID(f.ClientID),
		})
	}
	return nil, errors.New("invalid data: requires a 'clientId' field, a combination of 'tenantId', 'clientId' and " +
		"'clientSecret', or 'tenantId', 'clientId' and 'clientCertificate'")
}

func (f *azureFile) bySecret(tenant, client, secret string) (azcore.TokenCredential, error) {
	return azidentity.NewClientSecretCredential(tenant, client, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: f.options()})
}

func (f *azureFile) byCertificate() (azcore.TokenCredential, error) {
	certificates, key, err := azidentity.ParseCertificates([]byte(f.Certificate), []byte(f.CertificatePassword))
	if err != nil {
		return nil, err
	}
	return azidentity.NewClientCertificateCredential(f.TenantID, f.ClientID, certificates, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: f.options(), SendCertificateChain: f.SendChain})
}

func (f *azureFile) options() azcore.ClientOptions {
	if f.AuthorityHost == "" {
		return azcore.ClientOptions{Cloud: cloud.AzurePublic}
	}
	return azcore.ClientOptions{Cloud: cloud.Configuration{
		ActiveDirectoryAuthorityHost: f.AuthorityHost,
		Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{},
	}}
}
