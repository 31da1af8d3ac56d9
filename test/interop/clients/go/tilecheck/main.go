// SPDX-License-Identifier: Apache-2.0

// Tilecheck holds a tile log to the checkpoints that it once gave out, with the reader of Go's checksum database
// (golang.org/x/mod/sumdb: note, tlog), of which nothing was written here. Usage:
//
//	tilecheck -url https://log.example/api/v2 -vkey NAME+HASH+KEY < answers
//
// Each line of standard input is a JSON object {"checkpoint", "index", "entry"}: a checkpoint, and an entry (base64) with
// its index that it must cover. For each the signature is opened, the entry's hash is read from tiles that are proved
// against the checkpoint's root, its inclusion is proved and checked, and so is consistency with the checkpoint before
// and with the last one. The last line of standard output counts what was checked.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type answer struct {
	Checkpoint string `json:"checkpoint"`
	Index      int64  `json:"index"`
	Entry      []byte `json:"entry"`
}

// reader fetches tiles by their C2SP names, which leave out the height that Go's names have.
type reader struct {
	url     string
	client  *http.Client
	fetched int
	kept    map[string][]byte
}

func (r *reader) Height() int                         { return 8 }
func (r *reader) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (r *reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		name := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		bytes, known := r.kept[name]
		if !known {
			var err error
			if bytes, err = r.get(name); err != nil {
				return nil, err
			}
			r.kept[name] = bytes
		}
		all = append(all, bytes)
	}
	return all, nil
}

func (r *reader) get(path string) ([]byte, error) {
	response, err := r.client.Get(r.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", path, response.StatusCode)
	}
	r.fetched++
	return io.ReadAll(io.LimitReader(response.Body, 1<<25))
}

// open checks a checkpoint's signature and reads its tree.
func open(checkpoint string, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("root %q", lines[2])
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

func checkInclusion(tree tlog.Tree, hashes tlog.HashReader, one answer) error {
	hash := tlog.RecordHash(one.Entry)
	read, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, one.Index)})
	if err != nil {
		return err
	}
	if read[0] != hash {
		return fmt.Errorf("entry %d is another one in the tile", one.Index)
	}
	proof, err := tlog.ProveRecord(tree.N, one.Index, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, one.Index, hash)
}

func checkGrowth(before, after tlog.Tree, hashes tlog.HashReader) error {
	if before.N == 0 {
		return nil
	}
	if before.N > after.N {
		return fmt.Errorf("size went back from %d to %d", before.N, after.N)
	}
	proof, err := tlog.ProveTree(after.N, before.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, after.N, after.Hash, before.N, before.Hash)
}

func run() error {
	url := flag.String("url", "", "where checkpoint and tile/ are")
	vkey := flag.String("vkey", "", "verifier key of the log")
	flag.Parse()
	verifier, err := note.NewVerifier(*vkey)
	if err != nil {
		return err
	}
	tiles := &reader{url: *url, client: &http.Client{Timeout: 20 * time.Second}, kept: map[string][]byte{}}
	text, err := tiles.get("checkpoint")
	if err != nil {
		return err
	}
	last, err := open(string(text), verifier)
	if err != nil {
		return fmt.Errorf("the latest checkpoint: %w", err)
	}
	latest := tlog.TileHashReader(last, tiles)
	var before tlog.Tree
	checked := 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var one answer
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		tree, err := open(one.Checkpoint, verifier)
		if err != nil {
			return fmt.Errorf("checkpoint %d: %w", checked, err)
		}
		hashes := tlog.TileHashReader(tree, tiles)
		if err := checkInclusion(tree, hashes, one); err != nil {
			return fmt.Errorf("entry %d in the tree of size %d: %w", one.Index, tree.N, err)
		}
		if err := checkGrowth(before, tree, hashes); err != nil {
			return fmt.Errorf("from size %d to %d: %w", before.N, tree.N, err)
		}
		if err := checkGrowth(tree, last, latest); err != nil {
			return fmt.Errorf("from size %d to the latest, %d: %w", tree.N, last.N, err)
		}
		before = tree
		checked++
	}
	if err := lines.Err(); err != nil {
		return err
	}
	fmt.Printf("%d checkpoints up to size %d, %d tiles read\n", checked, last.N, tiles.fetched)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
