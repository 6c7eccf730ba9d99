package schema

import (
	"errors"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for content, newer := range map[string]bool{
		`{"schema":1}`: false, `{"schema":2}`: true, `{"other":[1,{"schema":9}],"schema":2,"later":`: true,
		`{"other":{"schema":2},"schema":1}`: false, `{"schema":0}`: false, `{"schema":"2"}`: false, `{}`: false,
		`[2]`: false, `{"schema":`: false, ``: false, ` {"schema" : 3 , "x":"what a newer version has"}`: true,
	} {
		err := Check("a.json", "schema", []byte(content), 1)
		var e *NewerError
		if errors.As(err, &e) != newer || (err != nil) != newer {
			t.Errorf("%s: %v", content, err)
		}
		if newer && !strings.Contains(err.Error(), `"a.json"`) {
			t.Errorf("%s: the file is not named: %v", content, err)
		}
	}
}
