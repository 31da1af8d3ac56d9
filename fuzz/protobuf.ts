// SPDX-License-Identifier: Apache-2.0
import { ProtobufMessage } from "@lacre/core/codec";

export const name = "protobuf";
export const seeds: Uint8Array[] = [Uint8Array.of(8, 1, 18, 3, 10, 1, 5, 26, 0), Uint8Array.of(8, 255, 255, 3)];
export function target(bytes: Uint8Array): void {
  const message = new ProtobufMessage(bytes);
  message.bytesArray(3);
  message.optionalMessage(2)?.bytesArray(1);
  message.int64(1);
}
