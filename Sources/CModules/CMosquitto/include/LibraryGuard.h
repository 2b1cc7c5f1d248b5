#pragma once

struct mosquitto;

/// `mosquitto_loop_read(client, 1)` that comes back although the library aborts.
///
/// libmosquitto 2.0.11 ends the process (an assertion within its logging) when a packet carries a property that MQTT 5
/// does not know: a few bad bytes from a peer would end the daemon. Here that assertion only ends the call, with
/// MOSQ_ERR_PROTOCOL; nothing but `mosquitto_destroy` may then be done with `client`. Every other assertion of the
/// process ends it as before.
int link_guarded_read(struct mosquitto *client);
