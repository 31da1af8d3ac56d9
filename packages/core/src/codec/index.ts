// SPDX-License-Identifier: Apache-2.0
/** Shapes without trust: DER, JSON, signed notes, DSSE. */
export * as der from "./der.ts";
