package main

import (
	"io"

	"github.com/theupdateframework/go-tuf/data"
)

func cmdDownload(s *setup, args []string, stdout io.Writer) error {
	fs := s.flags("download")
	out := fs.String("o", "", "file to write")
	names, err := arguments(fs, args, 1)
	if err != nil {
		return err
	}
	agent, err := s.agent()
	if err != nil {
		return err
	}
	var meta data.TargetFileMeta
	if *out == "" {
		meta, err = agent.Check(names[0])
	} else {
		meta, err = agent.Download(names[0], *out)
	}
	if err != nil {
		return err
	}
	return printJSON(stdout, printable(names[0], meta))
}
