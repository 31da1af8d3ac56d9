// SPDX-License-Identifier: Apache-2.0
module lacre.example/tilecheck

go 1.25.0

require golang.org/x/mod v0.37.0
