-- Made from what every server has, and nobody can be connected to.
CREATE DATABASE {name} TEMPLATE template0
