(ns helping-hands.shared.schema
  "Values checked against the schemas of an OpenAPI 3.0 document: as much of JSON Schema as the services' own use."
  (:require [clojure.string :as str]
            [clojure.walk :as walk])
  (:import (java.time LocalDate)
           (java.time.format DateTimeParseException)))

(declare faults)

(def ^:private regex
  "A pattern as JSON Schema means it: `$` is the very end, where Java would let a line end follow."
  (memoize #(re-pattern (str/replace % #"\$$" "\\\\z"))))

(defn- unicode?
  "Can it be written as UTF-8? Half of a surrogate pair cannot."
  [^String text]
  (let [encoder (.newEncoder java.nio.charset.StandardCharsets/UTF_8)]
    (.canEncode encoder text)))

(defn- date?
  "A date as RFC 3339 writes it, of a year that PostgreSQL knows too: Java would take the year 0 and signs."
  [text]
  (and (re-matches #"\d{4}-\d\d-\d\d" text)
       (try (<= 1 (.getYear (LocalDate/parse text)))
            (catch DateTimeParseException _ false))))

(defn- string-fault [{:strs [minLength maxLength pattern format enum]} ^String value]
  (let [length (.codePointCount value 0 (count value))]
    (cond
      (not (unicode? value))                                 "must be Unicode"
      (and enum (not (some #{value} enum)))                  (str "must be one of " (str/join ", " enum))
      (< length (or minLength 0))                            (str "must have at least " minLength " characters")
      (and maxLength (< maxLength length))                   (str "must have at most " maxLength " characters")
      (and pattern (not (re-find (regex pattern) value)))    (str "must match " pattern)
      (and (= "date" format) (not (date? value)))            "must be a date, YYYY-MM-DD")))

(defn- number-fault [{:strs [minimum maximum]} value]
  (cond
    (and minimum (< value minimum)) (str "must be at least " minimum)
    (and maximum (< maximum value)) (str "must be at most " maximum)))

(defn- object-faults [{:strs [properties required additionalProperties minProperties]} value at]
  (let [inside #(if (str/blank? at) % (str at "." %))]
    (concat
     (for [name required :when (not (contains? value name))]
       (str (inside name) " must be given"))
     (when (false? additionalProperties)
       (for [name (keys value) :when (not (contains? properties name))]
         (str (inside (pr-str name)) " is not known here")))
     (when (< (count value) (or minProperties 0))
       [(str "give one of " (str/join ", " (keys properties)))])
     (mapcat (fn [[name schema]]
               (when (contains? value name)
                 (faults schema (value name) (inside name))))
             properties))))

(defn faults
  "What is wrong with a value as data.json reads it, one text for each fault; `at` says where the value is."
  [{:strs [type nullable] :as schema} value at]
  (let [say (fn [fault] (when fault [(str/triml (str at " " fault))]))]
    (if (and nullable (nil? value))
      nil
      (case type
        "string"  (if (string? value) (say (string-fault schema value)) (say "must be a string"))
        "integer" (if (integer? value) (say (number-fault schema value)) (say "must be an integer"))
        "number"  (if (number? value) (say (number-fault schema value)) (say "must be a number"))
        "object"  (if (map? value) (object-faults schema value at) (say "must be an object"))))))

(defn parameter
  "A parameter's text as the value that its schema wants, or the text itself where it is none."
  [{:strs [type]} text]
  (or (when (string? text)
        (case type
          "integer" (when (re-matches #"-?\d+" text) (parse-long text))
          "number"  (when (re-matches #"-?\d+(\.\d+)?([eE][+-]?\d+)?" text) (parse-double text))
          nil))
      text))

(defn inlined
  "The document with what every $ref names in its place."
  [document]
  (walk/prewalk (fn [node]
                  (if-let [place (and (map? node) (node "$ref"))]
                    (get-in document (rest (str/split place #"/")))
                    node))
                document))
