// Many devices in one process, each with the device's own outbox and delivery, and an observer at each broker.
//
//     FleetLoad FOLDER HOST:PORT BROKER,BROKER,... DEVICES CAPTURES [name=value ...]
//
// Devices connect to HOST:PORT; the observers to every BROKER (host:port). All captures are sealed and stored before the
// clock starts. Sizes are those of real captures: record 5.4 kB, master 1.6, standard error 1.0, mask .1, view 43.5.
// It ends when every device has every receipt, or after the limit, and says what happened:
//
//     stored          everything is sealed; the clock starts with the next line on standard input, or at once
//     births N        how many devices were online
//     stuck NAME ...  a device that still waits: how its line stands, and why it ended last
//     {"devices":...} the account, one line of JSON
//
// spread=S devices start over so many seconds   limit=S   receipt=S asks for a receipt again after   view=BYTES
// prefix=NAME of devices
// trace=FILE: `began` milliseconds of the monotonic clock, `receipt` seconds since then and seconds from PUBLISH, `birth`
// seconds since then, device, place of the broker
// idle=S stay connected for so long afterwards   signed keys are the receiver's matter: receipts are checked by SHA-256

import CloudLink
import Device
import DriverSupport
import Forwarding
import Glibc
import LinuxIO
import Logging
import Provenance
import Storage

/// A device takes six descriptors: outbox, its log, its index, commits, wake-up, connection.
var descriptors = rlimit()
getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
descriptors.rlim_cur = descriptors.rlim_max
setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)

let arguments = CommandLine.arguments
guard arguments.count >= 6, let target = BrokerAddress(arguments[2]), let devices = Int(arguments[4]),
  let captures = Int(arguments[5])
else {
  say("usage: FleetLoad FOLDER HOST:PORT BROKER,BROKER,... DEVICES CAPTURES [name=value ...]")
  exit(64)
}
let options = Options(arguments.dropFirst(6))
let time = try SystemClock()
var generator = SystemRandomNumberGenerator()
let keyBytes = (0..<SealingKey.byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
guard let key = SealingKey(bytes: keyBytes, digests: OpenSSLDigests()) else { exit(70) }
let account = Account(trace: options.values["trace"])

var fleet: [LoadDevice] = []
for number in 0..<devices {
  fleet.append(
    try await LoadDevice(
      number, folder: arguments[1], target: target, key: key, options: options, captures: captures, account: account,
      time: time))
}
say("stored")
if options.values["wait"] == "yes" { _ = readLine() }
account.start()
let observers = try arguments[3].split(separator: ",").enumerated().map {
  try Observer(String($0.element), at: $0.offset, account: account, time: time)
}
for observer in observers { try await observer.ready() }
let spread = options.number("spread", 10)
for (number, device) in fleet.enumerated() {
  device.start(afterMilliseconds: 1000 * spread * number / max(1, devices))
}
let limit = options.number("limit", 120)
/// What the devices themselves say: an observer is blind while its broker is away, and receipts go by.
@MainActor func rest() async throws -> (records: Int, all: Int) {
  var rest = (records: 0, all: 0)
  for device in fleet {
    let waiting = try await device.waiting()
    rest.records += waiting.records
    rest.all += waiting.all
  }
  return rest
}
var waiting = try await rest()
while waiting.all > 0, account.seconds < Double(limit) {
  // Each look is a query in every outbox, so the observers say when it is worth while.
  for _ in 0..<20 where account.receipted < devices * captures { try await Task.sleep(for: .milliseconds(100)) }
  try await Task.sleep(for: .milliseconds(100))
  waiting = try await rest()
}
account.finish()
say("births \(account.births)")
var stuck = 0
for device in fleet where stuck < 20 {
  guard try await device.waiting().all > 0 else { continue }
  stuck += 1
  say("stuck \(device.name): \(await device.standing())")
}
say(
  account.report(
    devices: devices, captures: captures, freed: devices * captures - waiting.records, waiting: waiting.all))
let idle = options.number("idle", 0)
if idle > 0 { try await Task.sleep(for: .seconds(idle)) }
exit(0)
