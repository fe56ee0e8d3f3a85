package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const maxClientDocument = 5 << 10 // as over the network

// readClientDocuments reads what --client-document names: URL=FILE, the file in place of the metadata document at the URL.
func readClientDocuments(flags []string) (map[string][]byte, error) {
	documents := map[string][]byte{}
	for _, flag := range flags {
		at := strings.LastIndex(flag, "=") // a URL may have one in its query
		if at <= 0 || at == len(flag)-1 {
			return nil, fmt.Errorf("--client-document %s: write it as URL=FILE", flag)
		}
		url, name := flag[:at], flag[at+1:]
		if _, twice := documents[url]; twice {
			return nil, fmt.Errorf("--client-document %s: the URL is named twice", url)
		}
		raw, err := readAtMost(name, maxClientDocument)
		if err != nil {
			return nil, fmt.Errorf("--client-document %s: %w", url, err)
		}
		documents[url] = raw
	}
	return documents, nil
}

func readAtMost(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes, the most a metadata document may have", name, limit)
	}
	return raw, nil
}
