// SPDX-License-Identifier: Apache-2.0

// Vault's transit engine, the real one, behind as much of Vault's HTTP API as a signer sees: paths under /v1/transit/, a
// token, answers and refusals in Vault's form. Vault itself does not build through a module proxy; its engine does.
// Keys are in memory. Prints its address on a free port of loopback.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"

	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func main() {
	ctx := context.Background()
	config := logical.TestBackendConfig()
	storage := &logical.InmemStorage{}
	config.StorageView = storage
	backend, err := transit.Factory(ctx, config)
	if err != nil {
		panic(err)
	}
	// This engine is a little older than the framework, which asks every path that creates how to know what exists.
	paths := reflect.ValueOf(backend).Elem().FieldByName("Backend").Interface().(*framework.Backend).Paths
	for _, path := range paths {
		_, creates := path.Operations[logical.CreateOperation]
		if _, old := path.Callbacks[logical.CreateOperation]; (creates || old) && path.ExistenceCheck == nil {
			path.ExistenceCheck = func(context.Context, *logical.Request, *framework.FieldData) (bool, error) { return false, nil }
		}
	}
	token := os.Args[1]
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(w http.ResponseWriter, status int, words ...string) {
		answer(w, status, map[string]any{"errors": append([]string{}, words...)})
	}
	http.HandleFunc("/v1/transit/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != token {
			refuse(w, http.StatusForbidden, "permission denied")
			return
		}
		request := &logical.Request{Storage: storage, Path: strings.TrimPrefix(r.URL.Path, "/v1/transit/"), Operation: logical.ReadOperation}
		if r.Method != http.MethodGet {
			request.Operation = logical.UpdateOperation
			request.Data = map[string]any{}
			decoder := json.NewDecoder(r.Body)
			decoder.UseNumber()
			if err := decoder.Decode(&request.Data); err != nil {
				refuse(w, http.StatusBadRequest, err.Error())
				return
			}
			if exists, found, err := backend.HandleExistenceCheck(ctx, request); err == nil && exists && !found {
				request.Operation = logical.CreateOperation
			}
		}
		response, err := backend.HandleRequest(ctx, request)
		switch {
		case err != nil && (response == nil || !response.IsError()):
			status := http.StatusInternalServerError
			if errors.Is(err, logical.ErrInvalidRequest) {
				status = http.StatusBadRequest
			}
			refuse(w, status, err.Error())
		case response != nil && response.IsError():
			refuse(w, http.StatusBadRequest, response.Error().Error())
		case response == nil && request.Operation == logical.ReadOperation:
			refuse(w, http.StatusNotFound)
		case response == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			answer(w, http.StatusOK, map[string]any{"data": response.Data})
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	panic(http.Serve(listener, nil))
}
