(ns helping-hands.shared.schema-test
  (:require [clojure.string :as str]
            [clojure.test :refer [are deftest is]]
            [helping-hands.shared.schema :as schema]))

(defn- fault
  "What is wrong with a value, as one text; nil when nothing is."
  [schema value]
  (when-let [faults (seq (schema/faults schema value "it"))]
    (str/join "; " faults)))

(deftest a-date-is-one-that-the-database-takes
  (are [text right?] (= right? (nil? (fault {"type" "string", "format" "date"} text)))
    "2030-02-28"   true
    "0001-01-01"   true
    "9999-12-31"   true
    "2030-02-30"   false
    "2030-2-3"     false
    "0000-01-01"   false
    "-0001-01-01"  false
    "+12345-01-01" false
    ""             false))

(deftest a-parameter-is-a-number-only-as-json-writes-one
  (are [type text value] (= value (schema/parameter {"type" type} text))
    "number"  "2.5"  2.5
    "number"  "-1e2" -100.0
    "number"  "NaN"  "NaN"
    "number"  "1d"   "1d"
    "number"  "0x1p3" "0x1p3"
    "number"  " 1"   " 1"
    "integer" "7"    7
    "integer" "+7"   "+7"
    "integer" "7.0"  "7.0"
    "string"  "7"    "7"))

(deftest a-number-beyond-all-is-out-of-bounds
  (is (= "it must be at most 5" (fault {"type" "number", "maximum" 5} (schema/parameter {"type" "number"} "1e999"))))
  (is (= "it must be a number" (fault {"type" "number", "maximum" 5} (schema/parameter {"type" "number"} "NaN")))))

(deftest text-is-counted-in-characters-and-ends-where-it-ends
  (are [schema text wrong] (= wrong (fault (assoc schema "type" "string") text))
    {"maxLength" 2}     "\ud83d\ude00\ud83d\ude00" nil
    {"maxLength" 2}     "abc"                      "it must have at most 2 characters"
    {"minLength" 1}     ""                         "it must have at least 1 characters"
    {"pattern" "^a+$"}  "aa"                       nil
    {"pattern" "^a+$"}  "aa\n"                     "it must match ^a+$"
    {"enum" ["a" "b"]}  "c"                        "it must be one of a, b"
    {}                  "\ud800"                   "it must be Unicode"))

(deftest an-object-has-what-is-wanted-and-nothing-else
  (let [schema {"type" "object", "additionalProperties" false, "required" ["name"],
                "properties" {"name" {"type" "string"}, "cost" {"type" "number", "minimum" 0}}}]
    (are [value wrong] (= wrong (fault schema value))
      {"name" "a"}            nil
      {"name" "a", "cost" 1}  nil
      {}                      "it.name must be given"
      {"name" nil}            "it.name must be a string"
      {"name" "a", "x" 1}     "it.\"x\" is not known here"
      {"cost" -1}             "it.name must be given; it.cost must be at least 0"
      []                      "it must be an object"
      nil                     "it must be an object")))
