// The ceiling for whatever sends through libmosquitto: messages from memory, nothing stored, nothing sealed.
//
//   cc -O2 -o mosquitto_peer mosquitto_peer.c -lmosquitto
//   mosquitto_peer PORT COUNT BYTES WINDOW
//
// Publishes COUNT messages of BYTES bytes at QoS 1 to `up/a` of a broker on loopback, WINDOW of them without a PUBACK,
// and ends after the last PUBACK.

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int acknowledged;
static int published;
static int count;
static int window;
static int bytes;
static char *payload;

static void publish_more(struct mosquitto *client) {
  while (published < count && published - acknowledged < window) {
    if (mosquitto_publish(client, NULL, "up/a", bytes, payload, 1, false) != MOSQ_ERR_SUCCESS) exit(1);
    published++;
  }
}

static void on_connect(struct mosquitto *client, void *context, int reason) {
  (void)context;
  if (reason != 0) exit(1);
  publish_more(client);
}

static void on_publish(struct mosquitto *client, void *context, int identifier) {
  (void)context;
  (void)identifier;
  acknowledged++;
  publish_more(client);
  if (acknowledged == count) mosquitto_disconnect(client);
}

int main(int arguments, char **argument) {
  if (arguments != 5) {
    fprintf(stderr, "usage: mosquitto_peer PORT COUNT BYTES WINDOW\n");
    return 64;
  }
  count = atoi(argument[2]);
  bytes = atoi(argument[3]);
  window = atoi(argument[4]);
  payload = malloc((size_t)bytes);
  if (!payload) return 1;
  memset(payload, 7, (size_t)bytes);
  mosquitto_lib_init();
  struct mosquitto *client = mosquitto_new("memory-peer", true, NULL);
  if (!client) return 1;
  mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_max_inflight_messages_set(client, (unsigned)window);
  mosquitto_connect_callback_set(client, on_connect);
  mosquitto_publish_callback_set(client, on_publish);
  if (mosquitto_connect(client, "127.0.0.1", atoi(argument[1]), 60) != MOSQ_ERR_SUCCESS) return 1;
  mosquitto_loop_forever(client, -1, 1);
  mosquitto_destroy(client);
  mosquitto_lib_cleanup();
  return acknowledged == count ? 0 : 1;
}
