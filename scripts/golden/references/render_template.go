// Renders Go templates as Ollama does: reads [{"template", "messages": [{"role", "content"}]}] from standard input, writes a list of texts.
// Source of the variables: ollama, template/template.go (Execute, collate).
package main

import (
	"encoding/json"
	"log"
	"os"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

func main() {
	var runs []struct {
		Template string
		Messages []message
	}
	if err := json.NewDecoder(os.Stdin).Decode(&runs); err != nil {
		log.Fatal(err)
	}
	texts := []string{}
	for _, run := range runs {
		parsed, err := template.New("").Option("missingkey=zero").Parse(run.Template)
		if err != nil {
			log.Fatal(err, ": ", run.Template)
		}
		var system []string
		messages := []*message{}
		for i := range run.Messages {
			if run.Messages[i].Role == "system" {
				system = append(system, run.Messages[i].Content)
			}
			messages = append(messages, &run.Messages[i])
		}
		var text strings.Builder
		values := map[string]any{"System": strings.Join(system, "\n\n"), "Messages": messages, "Response": ""}
		if err := parsed.Execute(&text, values); err != nil {
			log.Fatal(err)
		}
		texts = append(texts, text.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(texts); err != nil {
		log.Fatal(err)
	}
}
