// As much JSON as jaccl reads of its devices: arrays, texts and null, by the few names of nlohmann's library that it calls.
#pragma once

#include <istream>
#include <stdexcept>
#include <string>
#include <vector>

namespace nlohmann {

class json {
 public:
  static json parse(std::istream& in) {
    json value;
    char next = 0;
    if (!(in >> next)) throw std::runtime_error("JSON ends early");
    if (next == '[') {
      value.kind_ = Kind::array;
      value.elements(in);
    } else if (next == '"') {
      value.kind_ = Kind::text;
      std::getline(in, value.text_, '"');
    } else {
      in.ignore(3); // null
    }
    return value;
  }

  bool is_array() const { return kind_ == Kind::array; }
  bool is_string() const { return kind_ == Kind::text; }
  bool is_null() const { return kind_ == Kind::null; }
  size_t size() const { return items_.size(); }
  const json& operator[](size_t at) const { return items_.at(at); }
  std::vector<json>::const_iterator begin() const { return items_.begin(); }
  std::vector<json>::const_iterator end() const { return items_.end(); }
  operator std::string() const { return text_; }

 private:
  enum class Kind { null, text, array };

  void elements(std::istream& in) {
    char next = 0;
    while (in >> next && next != ']') {
      if (next != ',') in.putback(next);
      items_.push_back(parse(in));
    }
  }

  Kind kind_ = Kind::null;
  std::string text_;
  std::vector<json> items_;
};

} // namespace nlohmann
