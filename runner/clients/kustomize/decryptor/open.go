package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	"github.com/getsops/sops/v3/stores/json"
	"github.com/getsops/sops/v3/stores/yaml"
)

// named are the formats as Flux's messages have them.
var named = map[string]string{"binary": "binary", "dotenv": "dotenv", "ini": "INI", "json": "JSON", "yaml": "YAML"}

func storeFor(format string) sops.Store {
	c := config.NewStoresConfig()
	switch format {
	case "dotenv":
		return dotenv.NewStore(&c.Dotenv)
	case "ini":
		return ini.NewStore(&c.INI)
	case "json":
		return json.NewStore(&c.JSON)
	case "yaml":
		return yaml.NewStore(&c.YAML)
	}
	return json.NewBinaryStore(&c.JSONBinary)
}

// open decrypts one text as kustomize-controller does. Like it, it does not hold the text as a whole
// against its message authentication code: kustomize has moved its parts around. Each value has been
// sealed together with its place in the text, and that is checked.
func open(service keyservice.KeyServiceServer, sealed item) (_ []byte, err error) {
	in, out := named[sealed.Input], named[sealed.Output]
	defer func() {
		if recover() != nil { // some inputs make SOPS panic; with what, may be secret
			err = fmt.Errorf("failed to emit encrypted %s file as decrypted %s", in, out)
		}
	}()
	tree, err := storeFor(sealed.Input).LoadEncryptedFile(sealed.Data)
	if err != nil {
		return nil, forUser(fmt.Sprintf("failed to load encrypted %s data", in), err)
	}
	services := []keyservice.KeyServiceClient{keyservice.NewCustomLocalClient(service)}
	key, err := tree.Metadata.GetDataKeyWithKeyServices(services, sops.DefaultDecryptionOrder)
	if err != nil {
		return nil, forUser("cannot get sops data key", err)
	}
	if _, err = tree.Decrypt(key, aes.NewCipher()); err != nil {
		return nil, forUser("error decrypting sops tree", withoutInput(err))
	}
	data, err := storeFor(sealed.Output).EmitPlainFile(tree.Branches)
	if err != nil {
		// What the store says of a decrypted text may quote it.
		return nil, fmt.Errorf("failed to emit encrypted %s file as decrypted %s", in, out)
	}
	return data, nil
}

func forUser(message string, err error) error {
	var told sops.UserError
	if errors.As(err, &told) {
		lines := strings.ReplaceAll(told.UserError(), "\n", " ") // it is wrapped, with bars at its edge
		err = errors.New(strings.Join(strings.Fields(strings.ReplaceAll(lines, " | ", " ")), " "))
	}
	return fmt.Errorf("%s: %w", message, err)
}

// withoutInput takes out what SOPS quotes of a value: one that was not sealed at all, for instance.
func withoutInput(err error) error {
	const prefix, suffix = "Input string ", " does not match sops' data format"
	text := err.Error()
	from, to := strings.Index(text, prefix), strings.LastIndex(text, suffix)
	if from < 0 || to < from {
		return err
	}
	return errors.New(text[:from] + prefix + "<redacted>" + suffix)
}
