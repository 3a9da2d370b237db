// Command tlog writes vectors.json: a log of 300 entries as Go's own libraries see it.
//
// The tree, its proofs and the notes come from golang.org/x/mod/sumdb, the receipts from
// github.com/transparency-dev/formats. Entry i is the text "entry <i>"; the seed of the key is 32 bytes 0x01.
// Run it here: go run . > vectors.json
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	origin  = "timebank.example/ledger"
	entries = 300
)

type hashes []tlog.Hash

func (stored hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = stored[index]
	}
	return found, nil
}

type head struct {
	Size       int64     `json:"size"`
	Root       tlog.Hash `json:"root"`
	Checkpoint string    `json:"checkpoint"`
}

type consistency struct {
	First  int64          `json:"first"`
	Second int64          `json:"second"`
	Proof  tlog.TreeProof `json:"proof"`
}

type tile struct {
	Level int    `json:"level"`
	N     int64  `json:"n"`
	Width int    `json:"width"`
	Path  string `json:"path"`
}

type vectors struct {
	Vkey        string        `json:"vkey"`
	Heads       []head        `json:"heads"`
	Receipts    []string      `json:"receipts"`
	Consistency []consistency `json:"consistency"`
	Tiles       []tile        `json:"tiles"`
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func entry(index int64) []byte {
	return fmt.Appendf(nil, "entry %d", index)
}

func main() {
	seed := base64.StdEncoding.EncodeToString(append([]byte{1}, bytes.Repeat([]byte{1}, 32)...))
	signer := must(note.NewSigner("PRIVATE+KEY+" + origin + "+a0f5c1f0+" + seed))
	out := vectors{Vkey: "timebank.example/ledger+a0f5c1f0+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"}
	verifier := must(note.NewVerifier(out.Vkey))
	var stored hashes
	for size := int64(1); size <= entries; size++ {
		stored = append(stored, must(tlog.StoredHashes(size-1, entry(size-1), stored))...)
		if size <= 9 || size%43 == 0 || (size >= 255 && size <= 257) || size == entries {
			addSize(&out, size, stored, signer)
		}
	}
	for _, made := range out.Heads {
		must(note.Open([]byte(made.Checkpoint), note.VerifierList(verifier)))
	}
	for _, at := range [][3]int64{
		{0, 0, 256}, {0, 999, 1}, {1, 1000, 17}, {2, 1234067, 256}, {7, 1000000, 255}, {3, 256, 100},
	} {
		path := tlog.Tile{H: 8, L: int(at[0]), N: at[1], W: int(at[2])}.Path()
		path = strings.Replace(path, "tile/8/", "tile/", 1)
		out.Tiles = append(out.Tiles, tile{int(at[0]), at[1], int(at[2]), path})
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(out); err != nil {
		log.Fatal(err)
	}
}

func addSize(out *vectors, size int64, stored hashes, signer note.Signer) {
	root := must(tlog.TreeHash(size, stored))
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
	checkpoint := must(note.Sign(&note.Note{Text: text}, signer))
	out.Heads = append(out.Heads, head{size, root, string(checkpoint)})
	for _, index := range []int64{0, size / 3, size - 1} {
		receipt := proof.TLogProof{Index: uint64(index), Checkpoint: checkpoint, ExtraData: entry(index)}
		for _, hash := range must(tlog.ProveRecord(size, index, stored)) {
			receipt.Hashes = append(receipt.Hashes, hash)
		}
		out.Receipts = append(out.Receipts, string(receipt.Marshal()))
	}
	for _, first := range []int64{1, size/3 + 1, size} {
		out.Consistency = append(out.Consistency,
			consistency{first, size, must(tlog.ProveTree(size, first, stored))})
	}
}
