package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app/catalogue"
)

// toolSource says where the tools of an MCP server come from: the server itself, or a file.
type toolSource struct {
	url, tokenFile, headerFile, file string
}

func (s *toolSource) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.url, "url", "", "URL of the MCP server, past any gate, as this machine reaches it")
	f.StringVar(&s.tokenFile, "token-file", "", "file with a bearer token for it")
	f.StringVar(&s.headerFile, "header-file", "", `file with one "Name: value" line per header it wants, e.g. an API key`)
	f.StringVar(&s.file, "file", "", "instead of asking it: file with its answer to tools/list, - for standard input")
}

const (
	maxSecretFile = 16 << 10
	maxHeaders    = 32
)

// read returns the tools.
func (s *toolSource) read(ctx context.Context, stdin io.Reader) ([]catalogue.Tool, error) {
	switch {
	case s.url == "" && s.file == "":
		return nil, errors.New("say where the tools come from: --url of the MCP server, or --file with its answer to tools/list")
	case s.url != "" && s.file != "":
		return nil, errors.New("--url and --file exclude each other")
	case s.file == "" && !absolute(s.url):
		return nil, errors.New("--url is not an absolute http or https URL")
	case s.file == "":
		header, err := s.header()
		if err != nil {
			return nil, err
		}
		return catalogue.Read(ctx, catalogue.Source{URL: s.url, Header: header})
	}
	raw, err := readLimited(s.file, stdin, catalogue.MaxBytes)
	if err != nil {
		return nil, err
	}
	tools, err := catalogue.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	return tools, nil
}

func absolute(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func (s *toolSource) header() (http.Header, error) {
	header := http.Header{}
	if s.headerFile != "" {
		raw, err := readLimited(s.headerFile, nil, maxSecretFile)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok || strings.TrimSpace(name) == "" || len(header) == maxHeaders {
				return nil, fmt.Errorf(`%s: write one "Name: value" per line, at most %d`, s.headerFile, maxHeaders) // never the line: it is a secret
			}
			header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	if s.tokenFile != "" {
		raw, err := readLimited(s.tokenFile, nil, maxSecretFile)
		if err != nil {
			return nil, err
		}
		header.Set("Authorization", "Bearer "+strings.TrimSpace(string(raw)))
	}
	return header, nil
}

func readLimited(path string, stdin io.Reader, limit int64) ([]byte, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	if in == nil {
		return nil, errors.New("standard input cannot be read here")
	}
	raw, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return raw, nil
}
