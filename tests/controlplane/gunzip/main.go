// Reads gzip files as Go's clients do: what the whole file unpacks to must be the text that follows it.
//
// On stdin come pairs, each half of which begins with its length in four bytes, little endian: a gzip file, and its text.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	pairs := 0
	for {
		file, err := next(in)
		if errors.Is(err, io.EOF) {
			break
		}
		text, textErr := next(in)
		if err := errors.Join(err, textErr); err != nil {
			fail(pairs, err)
		}
		if err := compare(file, text); err != nil {
			fail(pairs, fmt.Errorf("a text of %d bytes: %w", len(text), err))
		}
		pairs++
	}
	fmt.Println(pairs)
}

func fail(pair int, err error) {
	fmt.Fprintf(os.Stderr, "pair %d: %v\n", pair, err)
	os.Exit(1)
}

func next(in io.Reader) ([]byte, error) {
	var length uint32
	if err := binary.Read(in, binary.LittleEndian, &length); err != nil {
		return nil, err
	}
	half := make([]byte, length)
	_, err := io.ReadFull(in, half)
	return half, err
}

func compare(file, text []byte) error {
	rest := bytes.NewReader(file)
	reader, err := gzip.NewReader(rest)
	if err != nil {
		return err
	}
	// One file, not several behind each other.
	reader.Multistream(false)
	unpacked, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	if !bytes.Equal(unpacked, text) {
		return fmt.Errorf("another text, of %d bytes", len(unpacked))
	}
	if rest.Len() > 0 {
		return fmt.Errorf("%d bytes follow the file", rest.Len())
	}
	return nil
}
