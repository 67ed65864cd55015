package io.otaflux.samples.gateway;

import io.otaflux.testkit.RequiresProgram;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Needs a real broker and a real file server. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@RequiresProgram(value = "mosquitto", debianPackage = "mosquitto")
@RequiresProgram(value = "nginx", debianPackage = "nginx-light")
@interface RequiresServers {}
