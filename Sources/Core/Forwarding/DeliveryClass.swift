/// The classes in order of urgency; the raw value is stored in the outbox and must not change.
package enum DeliveryClass: Int, Sendable, Hashable, CaseIterable, Codable {
  case alert = 0
  case capture = 1
  case image = 2
  case event = 3
  case health = 4
}
