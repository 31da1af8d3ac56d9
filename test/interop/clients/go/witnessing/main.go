// SPDX-License-Identifier: Apache-2.0

// Command witnessing holds lacre's checkpoints and cosignatures against Go's own libraries, and runs a log of another make
// (Tessera, on a directory) under whatever witnesses a policy names.
//
//	witnessing keygen NAME                          prints a signer key and its verifier key, a line each
//	witnessing verify CHECKPOINT LOG WITNESS…       opens a checkpoint file with the verifier keys, and prints who signed
//	witnessing log DIR SIGNER POLICY COUNT          appends COUNT entries, each published under a cosigned checkpoint
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: witnessing keygen|verify|log …")
	}
	switch command, rest := args[0], args[1:]; command {
	case "keygen":
		skey, vkey, err := note.GenerateKey(rand.Reader, rest[0])
		if err != nil {
			return err
		}
		fmt.Printf("%s\n%s\n", skey, vkey)
		return nil
	case "verify":
		return verify(rest[0], rest[1], rest[2:])
	case "log":
		count, err := strconv.Atoi(rest[3])
		if err != nil {
			return err
		}
		return appendAll(rest[0], rest[1], rest[2], count)
	default:
		return fmt.Errorf("no command %q", command)
	}
}

// logVerifier reads a log's key: notes' own Ed25519, ECDSA, or the tree heads of certificate logs.
func logVerifier(vkey string) (note.Verifier, error) {
	if v, err := note.NewVerifier(vkey); err == nil {
		return v, nil
	}
	if v, err := f_note.NewRFC6962Verifier(vkey); err == nil {
		return v, nil
	}
	return f_note.NewVerifier(vkey)
}

func verify(path, log string, witnesses []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	verifier, err := logVerifier(log)
	if err != nil {
		return fmt.Errorf("log key: %w", err)
	}
	verifiers := []note.Verifier{verifier}
	for _, vkey := range witnesses {
		v, err := f_note.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			return fmt.Errorf("witness key: %w", err)
		}
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != len(verifiers) {
		return fmt.Errorf("%d of %d signatures verify", len(opened.Sigs), len(verifiers))
	}
	for _, sig := range opened.Sigs {
		fmt.Println(sig.Name)
	}
	return nil
}

func appendAll(dir, skey, policyPath string, count int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	key, err := os.ReadFile(skey)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(string(key))
	if err != nil {
		return err
	}
	policy, err := os.ReadFile(policyPath)
	if err != nil {
		return err
	}
	witnesses, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(200*time.Millisecond).
		WithBatching(1, 10*time.Millisecond).
		WithWitnesses(witnesses, &tessera.WitnessOptions{Timeout: 5 * time.Second}))
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	for at := range count {
		index, checkpoint, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "entry %d %d", at, time.Now().UnixNano()))))
		if err != nil {
			return err
		}
		if err := os.WriteFile(dir+"/published", checkpoint, 0o644); err != nil {
			return err
		}
		fmt.Println(index.Index)
	}
	return shutdown(ctx)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
