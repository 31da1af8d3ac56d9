// SPDX-License-Identifier: Apache-2.0

/** Where notices for the operator go; pino's shape. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
