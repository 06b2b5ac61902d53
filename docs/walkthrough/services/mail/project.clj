(defproject mail "1.0.0"
  :description "Catches e-mail: takes every message by SMTP and prints it as one line of JSON"
  :dependencies [[org.clojure/clojure "1.11.4"]
                 [org.clojure/data.json "2.5.0"]
                 [com.github.davidmoten/subethasmtp "7.1.3"]
                 [org.slf4j/slf4j-nop "1.7.36"]]
  :main mail.main
  :profiles {:uberjar {:aot :all :jvm-opts ["-Dclojure.compiler.direct-linking=true"]}
             :debian  {:repositories {"clojars" {:url "file:///usr/share/maven-repo" :checksum :ignore}}}})
