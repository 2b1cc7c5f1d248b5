#pragma once

// libmosquitto, and the two things that its API leaves out: a TLS context whose refusals can be explained, and the
// state of the socket below a connection.

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "LibraryGuard.h"
#include "SocketState.h"
#include "TLSContext.h"
