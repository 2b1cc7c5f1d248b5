// A peer of the delivery benchmark: Eclipse Paho's asynchronous C client with its file persistence, as a device would
// use it offline. It takes messages without a connection, then connects and sends them with QoS 1.
//
//   paho_peer PORT COUNT BYTES WINDOW FOLDER
//
// Prints "stored" when all wait on disk, connects when a line comes in, prints "sent" after the last acknowledgement.

#include <MQTTAsync.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int acknowledged;

static void done(void *context, MQTTAsync_successData *response) {
  (void)context, (void)response;
  atomic_fetch_add(&acknowledged, 1);
}

static void failed(void *context, MQTTAsync_failureData *response) {
  fprintf(stderr, "%s failed: %d\n", (const char *)context, response ? response->code : 0);
  exit(1);
}

int main(int count, char **arguments) {
  if (count != 6) return 64;
  char address[64];
  snprintf(address, sizeof address, "tcp://127.0.0.1:%s", arguments[1]);
  int messages = atoi(arguments[2]), bytes = atoi(arguments[3]), window = atoi(arguments[4]);
  MQTTAsync client;
  MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
  options.sendWhileDisconnected = 1;
  options.allowDisconnectedSendAtAnyTime = 1;
  options.maxBufferedMessages = messages + 1;
  int code = MQTTAsync_createWithOptions(&client, address, "paho", MQTTCLIENT_PERSISTENCE_DEFAULT, arguments[5],
                                         &options);
  if (code != MQTTASYNC_SUCCESS) return fprintf(stderr, "create: %d\n", code), 1;
  char *payload = malloc((size_t)bytes);
  memset(payload, 7, (size_t)bytes);
  for (int index = 0; index < messages; index++) {
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess = done;
    response.onFailure = failed;
    response.context = "send";
    code = MQTTAsync_send(client, "up/a", bytes, payload, 1, 0, &response);
    if (code != MQTTASYNC_SUCCESS) return fprintf(stderr, "send: %d\n", code), 1;
  }
  puts("stored");
  fflush(stdout);
  if (getchar() == EOF) return 1;
  MQTTAsync_connectOptions connection = MQTTAsync_connectOptions_initializer;
  connection.cleansession = 0;
  connection.maxInflight = window;
  connection.onFailure = failed;
  connection.context = "connect";
  code = MQTTAsync_connect(client, &connection);
  if (code != MQTTASYNC_SUCCESS) return fprintf(stderr, "connect: %d\n", code), 1;
  while (atomic_load(&acknowledged) < messages) usleep(1000);
  puts("sent");
  fflush(stdout);
  _exit(0);
}
