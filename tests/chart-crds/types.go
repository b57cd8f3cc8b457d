// Package crds pins the types that the chart can use where a cluster has them: those of cert-manager and of the operator of
// Prometheus. controller-gen makes CustomResourceDefinitions of them.
package crds

import (
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)
