// The oracle of server-side apply: what the Go implementation does, as data.
//
//	merge sequences SEED COUNT   random requests to the real field manager of custom resources, one sequence a line
//	merge calls                  every call that structured-merge-diff's own tests make, one a line
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	switch {
	case len(arguments) == 3 && arguments[0] == "sequences":
		seed, err := strconv.ParseInt(arguments[1], 10, 64)
		if err != nil {
			return err
		}
		count, err := strconv.Atoi(arguments[2])
		if err != nil {
			return err
		}
		return writeSequences(out, seed, count)
	case len(arguments) == 1 && arguments[0] == "calls":
		return writeCalls(out)
	}
	return fmt.Errorf("usage: merge sequences SEED COUNT | merge calls")
}
