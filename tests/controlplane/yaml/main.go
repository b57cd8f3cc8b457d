// The oracle of YAML: reads texts as kube-apiserver reads bodies, and says what they mean.
//
// Each line of the input is a text as a string of JSON. Each line of the output is an object: `json` is what
// sigs.k8s.io/yaml makes of the text and sigs.k8s.io/json reads of that, or `error`; `strict` is what strict reading says.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type answer struct {
	JSON   any    `json:"json"`
	Error  string `json:"error,omitempty"`
	Strict string `json:"strict,omitempty"`
}

func read(text []byte) (out answer) {
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if _, err := yaml.YAMLToJSONStrict(text); err != nil {
		out.Strict = err.Error()
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(converted, &out.JSON); err != nil {
		return answer{Error: err.Error()}
	}
	return out
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	decoder := json.NewDecoder(lines)
	for decoder.More() {
		var text string
		if err := decoder.Decode(&text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := encoder.Encode(read([]byte(text))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
