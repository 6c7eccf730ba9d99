package verify

import "os"

// SignedFile is a file from elsewhere, and the targets that have its bytes.
type SignedFile struct {
	File    string   `json:"file"`
	Targets []string `json:"targets"`
}

// SignedFiles looks files up in metadata that was verified; each that no target has is a
// finding. Nothing is looked up in metadata that did not verify.
func (r *Report) SignedFiles(files []string) ([]SignedFile, error) {
	if !r.OK() {
		return nil, nil
	}
	var out []SignedFile
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		targets, err := r.Which(f)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		if len(targets) == 0 {
			r.Findings = append(r.Findings, Finding{Code: CodeFileNotSigned, Severity: Error, File: name, Text: "targets.json names no target of these bytes"})
			continue
		}
		out = append(out, SignedFile{File: name, Targets: targets})
	}
	return out, nil
}
