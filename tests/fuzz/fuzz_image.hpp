// SPDX-License-Identifier: LGPL-2.1-or-later
// Cache images out of fuzz input: arbitrary bytes at the front of a device, or entries chosen one by one.
#pragma once

#include "fuzz/fuzz_input.hpp"
#include "fuzz/memory_port.hpp"
#include "sim/bytes.hpp"

namespace wc::fuzz {

/// Takes the whole rest of the input.
///
/// Byte 0: bit 0 says how the rest is meant, bit 1 asks for logical blocks of 4096 bytes.
///
/// Bit 0 clear, raw: byte 1 chooses the size of the device (0 bytes to 256 KiB), byte 2 is the value of
/// every byte behind the input (0 or 0xff by its lowest bit), the rest stands at the front.
///
/// Bit 0 set, built: block size (1 byte), blocks (1), spare sectors (1), S (1, or 9 where it is 0xff),
/// then for each entry an operation byte and its numbers, then patches of three bytes (offset, value) for the
/// front of the image. The operation byte: 0x80 free; bits 0-1 sector (0: one byte, in blocks; 1: one
/// byte, in sectors; 2: eight bytes; 3: as the entry before); bits 2-3 sequence (0: one byte; 1: eight
/// bytes; 2: as the entry before; 3: S); bit 4: the block holds the same data as others with this bit.
MemoryPort::Device take_cache(FuzzInput& input);

}  // namespace wc::fuzz
