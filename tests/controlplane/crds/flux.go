// Package crds names the Go types whose CustomResourceDefinitions the tests install: controller-gen makes the YAML from them.
package crds

import _ "github.com/fluxcd/helm-controller/api/v2"
