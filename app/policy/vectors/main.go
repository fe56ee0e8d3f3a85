package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/ostiary/ostiary/app/secret"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("vectors", flag.ContinueOnError)
	f.SetOutput(stderr)
	count := f.Int("n", 2000, "how many vectors to make")
	seed := f.Uint64("seed", 0, "which ones; a random seed when 0")
	path := f.String("o", "", "file to write; standard output when empty")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *count < 1 {
		return fmt.Errorf("-n is %d, must be at least 1", *count)
	}
	if *seed == 0 {
		*seed = randomSeed()
	}
	_, _ = fmt.Fprintf(stderr, "vectors: %d with seed %d\n", *count, *seed)
	if *path == "" {
		return write(stdout, generate(*seed, *count))
	}
	file, err := os.Create(*path)
	if err != nil {
		return err
	}
	if err := write(file, generate(*seed, *count)); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// randomSeed is one that JSON readers which know only floating point do not round.
func randomSeed() uint64 {
	var seed uint64
	for _, b := range secret.Bytes(6) {
		seed = seed<<8 | uint64(b)
	}
	return seed + 1
}

// write prints one document and one vector a line, so that a difference can be read.
func write(to io.Writer, s set) error {
	w := bufio.NewWriter(to)
	if err := s.print(w); err != nil {
		return err
	}
	return w.Flush()
}
