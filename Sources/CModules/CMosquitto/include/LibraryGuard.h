#pragma once

#include <stddef.h>

struct mosquitto;

/// `mosquitto_loop_read(client, 1)` that reads no more than `bytes_maximum` of `descriptor`, its socket, and comes back
/// although the library aborts.
///
/// A packet names its length, up to 268,435,455 bytes, and libmosquitto 2.0.11 allocates that at once (pages that
/// nothing was written to take no memory) and reads for as long as bytes are there. With the bound the caller gets to look
/// at what has come of a packet before more of it is in memory.
///
/// libmosquitto 2.0.11 ends the process (an assertion within its logging) when a packet carries a property that MQTT 5
/// does not know: a few bad bytes from a peer would end the daemon. Here that assertion only ends the call, with
/// MOSQ_ERR_PROTOCOL; nothing but `mosquitto_destroy` may then be done with `client`. Every other assertion of the
/// process ends it as before.
int link_guarded_read(struct mosquitto *client, int descriptor, size_t bytes_maximum);
